/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flow/util.h>

#include <openssl/evp.h>

#include "pki.h"
#include "remote.h"
#include "stacks.h"
#include "test.h"

/* 100 MB to and from the tools of other libraries, compared by SHA-256. */

#define BLOCK  ((size_t)1 << 20)
#define BLOCKS 100

static uint8_t block[BLOCK];
static char dir[64], file[96];

static void
make_file(void)
{
    FILE *f = fopen(file, "w");
    size_t i;

    assert_non_null(f);
    for (i = 0; i < BLOCKS; i++) {
        test_fill(block, sizeof(block), i);
        assert_int_equal(fwrite(block, 1, sizeof(block), f), sizeof(block));
    }
    assert_int_equal(fclose(f), 0);
}

static void
sum_file(uint8_t sum[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    FILE *f = fopen(file, "r");
    size_t n;

    assert_non_null(f);
    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        EVP_DigestUpdate(ctx, block, n);
    EVP_DigestFinal_ex(ctx, sum, NULL);
    EVP_MD_CTX_free(ctx);
    fclose(f);
}

/* Read our flow to its end. */
static void
sum_flow(uint8_t sum[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum flow_status st;
    size_t n;

    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    while ((st = flow_read_wait(remote.tls, block, sizeof(block), &n)) ==
           FLOW_OK)
        EVP_DigestUpdate(ctx, block, n);
    assert_status(st, FLOW_EOF);
    EVP_DigestFinal_ex(ctx, sum, NULL);
    EVP_MD_CTX_free(ctx);
}

static void
large_transfer_to_curl_arrives(void **state)
{
    char url[128], resolve[128];
    uint8_t sent[32], received[32];
    const char *argv[] = { "curl",      "-sS",   "--max-time", "60",
                           "--noproxy", "*",     "--cacert",   remote.ca,
                           "--resolve", resolve, "-o",         file,
                           url,         NULL };
    EVP_MD_CTX *ctx;
    size_t i, n;

    (void)state;
    if (!need("curl"))
        skip();
    serve("p256", 0);
    snprintf(url, sizeof(url), "https://server.example:%s/", remote.port);
    snprintf(resolve, sizeof(resolve), "server.example:%s:127.0.0.1",
             remote.port);
    child_start(&remote.child, NULL, argv);
    must_open(accept_tls());
    hear("GET / HTTP/1.1\r\n");
    say("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
    ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    for (i = 0; i < BLOCKS; i++) {
        test_fill(block, sizeof(block), i + 1000);
        EVP_DigestUpdate(ctx, block, sizeof(block));
        assert_status(flow_write_all(remote.tls, block, sizeof(block), &n),
                      FLOW_OK);
    }
    EVP_DigestFinal_ex(ctx, sent, NULL);
    EVP_MD_CTX_free(ctx);
    say_bye("");
    assert_int_equal(child_wait(&remote.child), 0);
    sum_file(received);
    assert_memory_equal(sent, received, 32);
    end();
}

static void
large_transfer_from_s_client_arrives(void **state)
{
    uint8_t sent[32], received[32];
    const char *argv[] = { "openssl",      "s_client",    "-connect",
                           remote.address, "-servername", "server.example",
                           "-CAfile",      remote.ca,     "-quiet",
                           "-no_ign_eof",  "-nocommands", NULL };

    (void)state;
    make_file();
    sum_file(sent);
    serve("p256", 0);
    child_start(&remote.child, file, argv);
    must_open(accept_tls());
    sum_flow(received);
    assert_memory_equal(sent, received, 32);
    end();
}

/* Skip the head, up to the empty line. */
static void
skip_header(void)
{
    char last[4] = { 0 };
    size_t n;

    do {
        memmove(last, last + 1, 3);
        assert_status(flow_read_exact(remote.tls, last + 3, 1, &n), FLOW_OK);
    } while (memcmp(last, "\r\n\r\n", 4) != 0);
}

static void
large_transfer_from_gnutls_serv_arrives(void **state)
{
    char chain[256], key[256], port[16];
    uint8_t sent[32], received[32];
    const char *argv[] = {
        "gnutls-serv", "--port",         "0",   "--http",        "--httpdata",
        file,          "--x509certfile", chain, "--x509keyfile", key,
        NULL
    };

    (void)state;
    if (!need("gnutls-serv"))
        skip();
    make_file();
    sum_file(sent);
    snprintf(chain, sizeof(chain), "%s", pki("p256.pem"));
    snprintf(key, sizeof(key), "%s", pki("p256.key"));
    child_start(&remote.child, NULL, argv);
    snprintf(port, sizeof(port), "%u", child_port(&remote.child));
    client_of(port, 0);
    must_open(dial_tls());
    say("GET / HTTP/1.0\r\n\r\n");
    skip_header();
    sum_flow(received);
    assert_memory_equal(sent, received, 32);
    end();
}

static int
make_dir(void **state)
{
    if (guard_process(state) != 0)
        return -1;
    snprintf(dir, sizeof(dir), "%s/flow-large-XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/data", dir);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(large_transfer_to_curl_arrives),
        TEST(large_transfer_from_s_client_arrives),
        TEST(large_transfer_from_gnutls_serv_arrives),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
