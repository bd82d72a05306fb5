/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "mint.h"
#include "pki.h"
#include "stacks.h"
#include "step.h"
#include "test.h"

/*
 * Mistakes in a configuration: each has a status, a phrase that names the
 * cause, and the name of the file; afterwards the configuration is unchanged.
 */

static struct flow_tls_config *config;
static struct flow_error err;
static char dir[64];
static char path[4][96];
static unsigned wrong;

static void
begin(bool server)
{
    memset(&err, 0, sizeof(err));
    assert_status(server ? flow_tls_config_new_server(TEST_ENV, &config, &err)
                         : flow_tls_config_new_client(TEST_ENV, &config, &err),
                  FLOW_OK);
}

static void
end(void)
{
    flow_tls_config_unref(config);
    config = NULL;
}

/* Write a file of the test's own; its path, one of four in turn. */
static const char *
file(const char *name, const void *data, size_t len)
{
    static unsigned next;
    char *p = path[next++ % 4];
    FILE *f;

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    f = fopen(p, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
    return p;
}

static const char *
text_file(const char *name, const char *text)
{
    return file(name, text, strlen(text));
}

static char *
read_pki(const char *name, size_t *ret_len)
{
    FILE *f = fopen(pki(name), "r");
    char *data = calloc(1, 65536);

    assert_true(f != NULL && data != NULL);
    *ret_len = fread(data, 1, 65535, f);
    fclose(f);
    return data;
}

/* The error record has the status, the cause, and the file. */
static void
said(const char *what, enum flow_status got, enum flow_status wanted,
     const char *text, const char *detail)
{
    char line[400];

    (void)flow_error_format(&err, line, sizeof(line));
    if (got == wanted && err.status == wanted && err.text != NULL &&
        strstr(err.text, text) != NULL && err.layer_count == 1 &&
        strcmp(err.layers[0], "tls config") == 0 &&
        (detail == NULL || strstr(err.detail, detail) != NULL))
        return;
    print_error("%s: %s, not %s; \"%s\", wanted \"%s\" and \"%s\"\n", what,
                flow_status_name(got), flow_status_name(wanted), line, text,
                detail == NULL ? "" : detail);
    wrong++;
}

static void
pair_said(const char *what, const char *chain, const char *key,
          enum flow_status wanted, const char *text, const char *detail)
{
    char chain_path[128], key_path[128];

    snprintf(chain_path, sizeof(chain_path), "%s",
             chain[0] == '/' ? chain : pki(chain));
    snprintf(key_path, sizeof(key_path), "%s", key[0] == '/' ? key : pki(key));
    guard_case(what);
    begin(true);
    said(what,
         flow_tls_config_add_keypair_file(config, chain_path, key_path, NULL,
                                          NULL, &err),
         wanted, text, detail);
    /* The failed call has added nothing. */
    if (flow_tls_config_freeze(config, &err) != FLOW_E_INVAL ||
        strstr(err.text, "needs a certificate") == NULL || err.hint == NULL) {
        print_error("%s: something was added\n", what);
        wrong++;
    }
    end();
    guard_case(NULL);
}

static void
unreadable_files_are_reported_by_name(void **state)
{
    static char big[(4 << 20) + 2];

    (void)state;
    wrong = 0;
    pair_said("no chain", "/nowhere/chain.pem", "p256.key", FLOW_E_SYS,
              "no such file", "/nowhere/chain.pem");
    assert_int_equal(err.code, 0);
    pair_said("no key", "p256.pem", "/nowhere/key.pem", FLOW_E_SYS,
              "no such file", "/nowhere/key.pem");
    pair_said("a directory", dir, "p256.key", FLOW_E_SYS, "directory", dir);
    memset(big, 'x', sizeof(big));
    pair_said("4 MB", file("big", big, sizeof(big)), "p256.key", FLOW_E_INVAL,
              "too large", "big");
    pair_said("empty", text_file("empty", ""), "p256.key", FLOW_E_INVAL,
              "not understood", "empty");
    pair_said("empty key", "p256.pem", text_file("empty.key", ""), FLOW_E_INVAL,
              "not understood", "empty.key");

    begin(false);
    said("no trust",
         flow_tls_config_add_trust_file(config, "/nowhere/ca.pem", &err),
         FLOW_E_SYS, "no such file", "/nowhere/ca.pem");
    assert_int_equal(err.domain, FLOW_DOMAIN_ERRNO);
    assert_true(err.code != 0);
    end();
    assert_int_equal(wrong, 0);
}

static void
mismatched_or_invalid_key_pairs_are_refused(void **state)
{
    (void)state;
    wrong = 0;
    pair_said("another key", "p256.pem", "second.key", FLOW_E_INVAL,
              "does not belong", "second.key");
    pair_said("another kind of key", "rsa.pem", "p256.key", FLOW_E_INVAL,
              "does not belong", "p256.key");
    pair_said("another curve", "p384.pem", "p256.key", FLOW_E_INVAL,
              "does not belong", "p256.key");
    pair_said("swapped", "p256.key", "p256.pem", FLOW_E_INVAL, "not understood",
              "p256.key");
    pair_said("a certificate for a key", "p256.pem", "p256.pem", FLOW_E_INVAL,
              "not understood", "p256.pem");
    pair_said("misspelt",
              text_file("bad.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n"
                                   "-----END CERTIFICATE-----\n"),
              "p256.key", FLOW_E_INVAL, "not understood", "bad.pem");
    pair_said("words", text_file("words.pem", "hello\n"), "p256.key",
              FLOW_E_INVAL, "not understood", "words.pem");
    pair_said("misspelt key", "p256.pem",
              text_file("bad.key", "-----BEGIN PRIVATE KEY-----\nMIGH\n"
                                   "-----END PRIVATE KEY-----\n"),
              FLOW_E_INVAL, "not understood", "bad.key");
    pair_said("expired", "expired.pem", "expired.key", FLOW_E_AUTH, "expired",
              "expired.pem");
    assert_true(wrong > 0 || err.hint != NULL);
    pair_said("not valid yet", "future.pem", "future.key", FLOW_E_AUTH,
              "not valid yet", "future.pem");
    assert_int_equal(wrong, 0);
}

static void
expired_certificates_are_accepted_only_on_request(void **state)
{
    (void)state;
    begin(true);
    assert_status(flow_tls_config_allow_expired(config, true), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(config, pki("expired.pem"),
                                                   pki("expired.key"), NULL,
                                                   NULL, &err),
                  FLOW_OK);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
    end();
    /* The time is that of the environment. */
    test_env.wall_offset = INT64_C(40) * 365 * 86400;
    wrong = 0;
    pair_said("in forty years", "p256.pem", "p256.key", FLOW_E_AUTH, "expired",
              "p256.pem");
    test_env.wall_offset = INT64_C(-80) * 365 * 86400;
    pair_said("before 1970", "p256.pem", "p256.key", FLOW_E_AUTH,
              "not valid yet", "p256.pem");
    assert_int_equal(wrong, 0);
}

/* A certificate for this key, and the files of both. */
static void
unsupported(const char *what, EVP_PKEY *key, const char *text)
{
    static const struct mint plain = { "a", "DNS:a.example", NULL, NULL, NULL,
                                       NULL };
    X509 *leaf = mint_certificate(&plain, key, NULL, NULL);
    char *chain = mint_pem(leaf), *pem = mint_key_pem(key, NULL);

    guard_case(what);
    begin(true);
    said(what,
         flow_tls_config_add_keypair_file(config, text_file("odd.pem", chain),
                                          text_file("odd.key", pem), NULL, NULL,
                                          &err),
         FLOW_E_INVAL, text, "odd.");
    end();
    free(chain);
    free(pem);
    X509_free(leaf);
    EVP_PKEY_free(key);
}

static void
unsupported_keys_are_refused(void **state)
{
    (void)state;
    wrong = 0;
    unsupported("explicit parameters", mint_ec("P-256", 1), "not understood");
    unsupported("secp256k1", mint_ec("secp256k1", 0), "");
    unsupported("P-224", mint_ec("P-224", 0), "");
    assert_int_equal(wrong, 0);
}

/* Clients refuse a shorter RSA key, so a server would learn of it too late. */
static void
short_rsa_keys_are_refused(void **state)
{
    static const struct mint plain = { "a", "DNS:a.example", NULL, NULL, NULL,
                                       NULL };
    static const unsigned bits[] = { 1024, 2040, 2048 };
    size_t i;

    (void)state;
    wrong = 0;
    for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        EVP_PKEY *key = EVP_RSA_gen(bits[i]);
        X509 *leaf = mint_certificate(&plain, key, NULL, NULL);
        char *chain = mint_pem(leaf), *pem = mint_key_pem(key, NULL);
        enum flow_status st;

        begin(true);
        st = flow_tls_config_add_keypair_file(
            config, text_file("odd.pem", chain), text_file("odd.key", pem),
            NULL, NULL, &err);
        if (bits[i] < 2048) {
            said("length", st, FLOW_E_AUTH, "fewer than 2048 bits", "odd.key");
            assert_int_equal(err.verify_flags, FLOW_VERIFY_WEAK);
            assert_non_null(err.hint);
        } else {
            assert_int_equal(st, FLOW_OK);
        }
        end();
        free(chain);
        free(pem);
        X509_free(leaf);
        EVP_PKEY_free(key);
    }
    assert_int_equal(wrong, 0);
}

/* Without this check, a handshake would only say that there is no common
 * suite. */
static void
certificates_for_other_uses_are_refused(void **state)
{
    static const struct {
        const char *usage;
        const char *extended;
        const char *text; /* NULL: the certificate may be used */
    } rows[] = {
        { NULL, NULL, NULL },
        { "digitalSignature", NULL, NULL },
        { "digitalSignature,keyEncipherment", "serverAuth", NULL },
        { "digitalSignature", "clientAuth,serverAuth", NULL },
        { NULL, "anyExtendedKeyUsage", NULL },
        { "digitalSignature", "clientAuth", "not for servers: serverAuth" },
        { NULL, "codeSigning,emailProtection", "not for servers: serverAuth" },
        { "keyEncipherment", "serverAuth", "not for TLS: digitalSignature" },
        { "keyCertSign", NULL, "not for TLS: digitalSignature" },
    };
    EVP_PKEY *key = mint_ec("P-256", 0);
    char *pem = mint_key_pem(key, NULL);
    size_t i;

    (void)state;
    wrong = 0;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mint what = { "a",           "DNS:a.example",
                             rows[i].usage, rows[i].extended,
                             NULL,          NULL };
        X509 *leaf = mint_certificate(&what, key, NULL, NULL);
        char *chain = mint_pem(leaf);
        enum flow_status st;

        guard_case(rows[i].text != NULL ? rows[i].text : "it may serve");
        begin(true);
        st = flow_tls_config_add_keypair_file(
            config, text_file("odd.pem", chain), text_file("odd.key", pem),
            NULL, NULL, &err);
        if (rows[i].text != NULL) {
            said("usage", st, FLOW_E_AUTH, rows[i].text, "odd.pem");
            assert_int_equal(err.verify_flags, FLOW_VERIFY_USAGE);
            assert_non_null(err.hint);
        } else {
            assert_int_equal(st, FLOW_OK);
        }
        end();
        free(chain);
        X509_free(leaf);
    }
    free(pem);
    EVP_PKEY_free(key);
    assert_int_equal(wrong, 0);
}

struct answer {
    const char *text;
    unsigned asked;
};

static size_t
passphrase(void *user, char *buf, size_t cap)
{
    struct answer *a = user;

    a->asked++;
    assert_true(cap >= 64);
    memcpy(buf, a->text, strlen(a->text));
    return strlen(a->text);
}

static enum flow_status
add_encrypted(const char *key, struct answer *a)
{
    begin(true);
    return flow_tls_config_add_keypair_file(
        config, pki("p256.pem"), key, a != NULL ? passphrase : NULL, a, &err);
}

/* One encrypted key, loaded in every way. */
static void
encrypted(const char *what, const char *key, const char *name)
{
    struct answer right = { "opensesame", 0 }, bad = { "sesame", 0 },
                  none = { "", 0 };

    guard_case(what);
    said(what, add_encrypted(key, NULL), FLOW_E_AUTH,
         "encrypted and no passphrase", name);
    if (err.hint == NULL) {
        print_error("%s: no hint\n", what);
        wrong++;
    }
    end();
    said(what, add_encrypted(key, &bad), FLOW_E_AUTH, "passphrase", name);
    assert_int_equal(bad.asked, 1);
    end();
    said(what, add_encrypted(key, &none), FLOW_E_AUTH, "passphrase", name);
    assert_int_equal(none.asked, 1);
    end();
    if (add_encrypted(key, &right) != FLOW_OK || right.asked != 1 ||
        flow_tls_config_freeze(config, &err) != FLOW_OK) {
        print_error("%s: the right passphrase is refused: %s\n", what,
                    err.text);
        wrong++;
    }
    end();
}

static EVP_PKEY *
read_key(const char *name)
{
    size_t len;
    char *pem = read_pki(name, &len);
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    assert_non_null(key);
    BIO_free(bio);
    free(pem);
    return key;
}

static void
encrypted_keys_need_their_passphrase(void **state)
{
    EVP_PKEY *key = read_key("p256.key");
    char *pem = mint_key_pem(key, "opensesame");
    char kept[128];
    size_t len;
    unsigned char *der = mint_key_der(key, "opensesame", &len);

    (void)state;
    wrong = 0;
    snprintf(kept, sizeof(kept), "%s", pki("encrypted.key"));
    encrypted("PEM", kept, "encrypted.key");
    encrypted("PKCS#8 in PEM", text_file("pkcs8.pem", pem), "pkcs8.pem");
    encrypted("PKCS#8 in DER", file("pkcs8.der", der, len), "pkcs8.der");
    free(pem);
    free(der);
    EVP_PKEY_free(key);
    assert_int_equal(wrong, 0);
}

/*
 * A wrong passphrase that decrypts the key to bytes with valid padding, as one
 * in 256 does: made with "openssl pkcs8 -topk8 -v2 aes-128-cbc -iter 1" and
 * found by trying.
 */
static void
wrong_passphrase_with_valid_padding_is_reported(void **state)
{
    static const char pem[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAj2q72IWI7VCQIBATAM\n"
        "BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBAgQQ/niqBthLLhMMGanA7hrAigSBkH1I\n"
        "xXpmgJXPSCr+8eeWgOgn7SxMBgk3e+/FE6kGDgf4qTF8dVi+awip61OB6NYXoiTF\n"
        "MKVXFh9EBt/XH1pSP9w64xygZxMXcwm2Yg208SRG9gEuRxY868a4PTjYw0Pcm1iz\n"
        "hp397uhGVniCwymFEbrW3F9LNnvnuK7YF402vfUJTuf6r1t3yFNEolGRZcRCUg==\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct answer unlucky = { "guess-68", 0 };

    (void)state;
    wrong = 0;
    said("unlucky", add_encrypted(text_file("unlucky.pem", pem), &unlucky),
         FLOW_E_AUTH, "passphrase of the private key is wrong", "unlucky.pem");
    end();
    assert_int_equal(wrong, 0);
}

/* If no key is encrypted, the callback is not asked for a passphrase. */
static void
plain_keys_need_no_passphrase(void **state)
{
    struct answer a = { "opensesame", 0 };

    (void)state;
    assert_status(add_encrypted(pki("p256.key"), &a), FLOW_OK);
    assert_int_equal(a.asked, 0);
    end();
}

static enum flow_status
add_memory(const char *chain, size_t chain_len, const char *key, size_t key_len)
{
    begin(true);
    return flow_tls_config_add_keypair(config, chain, chain_len, key, key_len,
                                       NULL, NULL, &err);
}

/* The same key pair in every supported format. */
static void
key_pair_is_loaded_from_every_format(void **state)
{
    static const char *const names[2][2] = { { "p256.pem", "p256.key" },
                                             { "p256.der", "p256.key.der" } };
    char joined[8192], crlf[16384];
    size_t chain_len, key_len, n, i;
    char *chain, *key, *exact;
    int form;

    (void)state;
    for (form = 0; form < 2; form++) {
        chain = read_pki(names[form][0], &chain_len);
        key = read_pki(names[form][1], &key_len);
        /* In memory of exactly their length, so that a read beyond the end is
         * seen. */
        exact = malloc(chain_len);
        memcpy(exact, chain, chain_len);
        guard_case(names[form][0]);
        assert_status(add_memory(exact, chain_len, key, key_len), FLOW_OK);
        assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
        end();
        free(exact);
        free(chain);
        free(key);
    }
    chain = read_pki("p256.pem", &chain_len);
    key = read_pki("p256.key", &key_len);
    guard_case("no end of line");
    assert_status(add_memory(chain, chain_len - 1, key, key_len - 1), FLOW_OK);
    end();
    guard_case("words around");
    n = (size_t)snprintf(joined, sizeof(joined), "subject=a\n%s\nissuer=b\n%s",
                         key, chain);
    assert_status(add_memory(joined, n, joined, n), FLOW_OK);
    end();
    guard_case("CRLF line ends");
    for (i = n = 0; i < chain_len; i++) {
        if (chain[i] == '\n')
            crlf[n++] = '\r';
        crlf[n++] = chain[i];
    }
    assert_status(add_memory(crlf, n, key, key_len), FLOW_OK);
    end();
    free(chain);
    free(key);
}

/* The status of opening a client of the configuration to the server that the
 * test CA has certified. */
static enum flow_status
opened_with_server(void)
{
    enum flow_status client, server;
    struct ends e = { 0 };

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(config, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(stack_tls_server(0), e.b, 0, &e.b, NULL),
                  FLOW_OK);
    step_open_status(&e, &client, &server);
    ends_close(&e);
    return client;
}

static void
failed_add_trust_adds_no_certificate(void **state)
{
    static const char garbage[] = "-----BEGIN CERTIFICATE-----\nMIIB\n"
                                  "-----END CERTIFICATE-----\n";
    char both[16384];
    size_t len;
    char *ca = read_pki("ca.pem", &len);

    (void)state;
    wrong = 0;
    begin(false);
    snprintf(both, sizeof(both), "%s%s", ca, garbage);
    said("partly broken",
         flow_tls_config_add_trust_file(config, text_file("part.pem", both),
                                        &err),
         FLOW_E_INVAL, "not understood", "part.pem");
    snprintf(both, sizeof(both), "%s%s", garbage, ca);
    said("broken first",
         flow_tls_config_add_trust(config, both, strlen(both), &err),
         FLOW_E_INVAL, "understood", "certificate 1");
    said("a key", flow_tls_config_add_trust_file(config, pki("p256.key"), &err),
         FLOW_E_INVAL, "understood", "p256.key");
    said("nothing", flow_tls_config_add_trust(config, "", 0, &err),
         FLOW_E_INVAL, "understood", NULL);
    /* Only the authority that is added afterwards is trusted. */
    assert_status(
        flow_tls_config_add_trust_file(config, pki("other.pem"), &err),
        FLOW_OK);
    assert_status(opened_with_server(), FLOW_E_AUTH);
    said("too late", flow_tls_config_add_trust(config, ca, len, &err),
         FLOW_E_BUSY, "in use", NULL);
    end();
    begin(false);
    assert_status(flow_tls_config_add_trust(config, ca, len, &err), FLOW_OK);
    assert_status(opened_with_server(), FLOW_OK);
    end();
    free(ca);
    assert_int_equal(wrong, 0);
}

/* A server asks for client certificates exactly if it can verify them: one that
 * trusts authorities must not seem to require certificates of its clients. */
static void
servers_trust_if_and_only_if_they_ask(void **state)
{
    (void)state;
    wrong = 0;
    begin(true);
    assert_status(flow_tls_config_add_keypair_file(config, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   &err),
                  FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(config, FLOW_TLS_CLIENT_AUTH_OPTIONAL),
        FLOW_OK);
    said("no trust", flow_tls_config_freeze(config, &err), FLOW_E_INVAL,
         "no certificate authority is trusted", "pair 1");
    assert_status(flow_tls_config_add_trust_file(config, pki("ca.pem"), &err),
                  FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(config, FLOW_TLS_CLIENT_AUTH_NONE),
        FLOW_OK);
    said("unused trust", flow_tls_config_freeze(config, &err), FLOW_E_INVAL,
         "no client is asked", NULL);
    assert_status(
        flow_tls_config_set_client_auth(config, FLOW_TLS_CLIENT_AUTH_REQUIRED),
        FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(config, (enum flow_tls_client_auth)4),
        FLOW_E_INVAL);
    assert_status(flow_tls_config_limit_ca_list(config, 12289), FLOW_E_INVAL);
    assert_status(flow_tls_config_limit_ca_list(config, 12288), FLOW_OK);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(config, FLOW_TLS_CLIENT_AUTH_NONE),
        FLOW_E_BUSY);
    assert_status(flow_tls_config_limit_ca_list(config, 0), FLOW_E_BUSY);
    end();
    begin(false);
    assert_status(
        flow_tls_config_set_client_auth(config, FLOW_TLS_CLIENT_AUTH_NONE),
        FLOW_E_NOTSUP);
    assert_status(flow_tls_config_limit_ca_list(config, 0), FLOW_E_NOTSUP);
    end();
    assert_int_equal(wrong, 0);
}

static char *
mint_for(const char *purpose, EVP_PKEY *key)
{
    const struct mint what = { .subject = "client", .extended = purpose };
    X509 *cert = mint_certificate(&what, key, NULL, NULL);
    char *pem = mint_pem(cert);

    X509_free(cert);
    return pem;
}

/* A pair of a client is for clients, and of a server for servers. */
static void
a_pair_is_for_its_side(void **state)
{
    EVP_PKEY *key = mint_key();
    char *key_pem = mint_key_pem(key, NULL);
    char *client = mint_for("clientAuth", key);
    char *server = mint_for("serverAuth", key);

    (void)state;
    wrong = 0;
    for (int is_server = 0; is_server < 2; is_server++) {
        const char *good = is_server != 0 ? server : client;
        const char *bad = is_server != 0 ? client : server;

        begin(is_server != 0);
        said("other purpose",
             flow_tls_config_add_keypair(config, bad, strlen(bad), key_pem,
                                         strlen(key_pem), NULL, NULL, &err),
             FLOW_E_AUTH,
             is_server != 0 ? "certificate is not for servers"
                            : "certificate is not for clients",
             NULL);
        assert_int_equal(err.verify_flags, FLOW_VERIFY_USAGE);
        assert_status(flow_tls_config_add_keypair(config, good, strlen(good),
                                                  key_pem, strlen(key_pem),
                                                  NULL, NULL, &err),
                      FLOW_OK);
        end();
    }
    begin(false);
    said("another key",
         flow_tls_config_add_keypair_file(config, pki("p256.pem"),
                                          pki("p384.key"), NULL, NULL, &err),
         FLOW_E_INVAL, "does not belong", "p384.key");
    said("expired",
         flow_tls_config_add_keypair_file(config, pki("expired.pem"),
                                          pki("expired.key"), NULL, NULL, &err),
         FLOW_E_AUTH, "expired", "expired.pem");
    said("no passphrase",
         flow_tls_config_add_keypair_file(
             config, pki("p256.pem"), pki("encrypted.key"), NULL, NULL, &err),
         FLOW_E_AUTH, "encrypted and no passphrase", "encrypted.key");
    end();
    free(key_pem);
    free(client);
    free(server);
    EVP_PKEY_free(key);
    assert_int_equal(wrong, 0);
}

static void
broken_certificate_in_a_chain_is_refused(void **state)
{
    char both[16384];
    size_t len;
    char *leaf = read_pki("p256.pem", &len);

    (void)state;
    wrong = 0;
    snprintf(both, sizeof(both),
             "%s-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
             leaf);
    pair_said("second is broken", text_file("second.pem", both), "p256.key",
              FLOW_E_INVAL, "not understood", "second.pem");
    free(leaf);
    assert_int_equal(wrong, 0);
}

static void
settings_out_of_range_are_refused(void **state)
{
    static const uint16_t tls13_suite[] = { 0x1301 },
                          cbc[] = { 0x1301, 0xc013 };
    static const uint16_t ffdhe[] = { 0x001d, 0x0100 }, unknown[] = { 0x4242 };
    static const char *const empty_name[] = { "" };
    uint16_t many[40];
    size_t i;

    (void)state;
    wrong = 0;
    for (i = 0; i < 40; i++)
        many[i] = i < 33 ? 0x1301 : 0x001d;
    begin(false);
    assert_status(
        flow_tls_config_set_versions(config, FLOW_TLS_1_3, FLOW_TLS_1_2),
        FLOW_E_INVAL);
    assert_status(flow_tls_config_set_versions(
                      config, (enum flow_tls_version)0x0302, FLOW_TLS_1_3),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_set_suites(config, cbc, 2), FLOW_E_NOTSUP);
    assert_status(flow_tls_config_set_suites(config, cbc, 0), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_suites(config, many, 33), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_groups(config, ffdhe, 2), FLOW_E_NOTSUP);
    assert_status(flow_tls_config_set_groups(config, unknown, 1),
                  FLOW_E_NOTSUP);
    assert_status(flow_tls_config_set_groups(config, many, 9), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_alpn(config, empty_name, 1),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_set_handshake_limits(config, 0, 1023),
                  FLOW_E_INVAL);
    assert_status(
        flow_tls_config_set_handshake_limits(config, 0, (1u << 20) + 1),
        FLOW_E_INVAL);
    assert_status(
        flow_tls_config_set_key_limit(config, (UINT64_C(1) << 32) + 1),
        FLOW_E_INVAL);
    /* Minimum and maximum must be compatible. */
    assert_status(flow_tls_config_set_suites(config, tls13_suite, 1), FLOW_OK);
    assert_status(
        flow_tls_config_set_versions(config, FLOW_TLS_1_2, FLOW_TLS_1_2),
        FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(config, pki("ca.pem"), &err),
                  FLOW_OK);
    said("suites of the other version", flow_tls_config_freeze(config, &err),
         FLOW_E_INVAL, "no cipher suite fits", NULL);
    assert_status(
        flow_tls_config_set_versions(config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
    assert_status(
        flow_tls_config_set_versions(config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_E_BUSY);
    assert_status(flow_tls_config_set_alpn(config, NULL, 0), FLOW_E_BUSY);
    assert_status(flow_tls_config_insecure_skip_verify(config, true),
                  FLOW_E_BUSY);
    end();
    assert_int_equal(wrong, 0);
}

/* A failed call does not freeze the configuration. */
static void
freeze_works_after_the_missing_key_is_added(void **state)
{
    (void)state;
    begin(true);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_E_INVAL);
    assert_status(flow_tls_config_add_keypair_file(config, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   &err),
                  FLOW_OK);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
    end();
}

/* The last allocation of a freeze fails, after everything was loaded:
 * certificates that the program adds next must be the only trusted ones. */
static void
failed_freeze_keeps_no_system_trust(void **state)
{
    size_t before, needed;
    enum flow_status st;

    (void)state;
    begin(false);
    before = test_env.total;
    st = flow_tls_config_freeze(config, &err);
    needed = test_env.total - before;
    end();
    if (st == FLOW_E_SYS)
        skip(); /* This system has no trust store. */
    assert_status(st, FLOW_OK);

    begin(false);
    before = test_env.live;
    test_env_fail(needed, false);
    st = flow_tls_config_freeze(config, &err);
    test_env_fail(0, false);
    assert_status(st, FLOW_E_NOMEM);
    assert_int_equal(test_env.live, before);
    assert_status(flow_tls_config_freeze(config, &err), FLOW_OK);
    end();
}

static int
make_dir(void **state)
{
    if (guard_process(state) != 0)
        return -1;
    snprintf(dir, sizeof(dir), "%s/flow-config-XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
    static const char *const names[] = {
        "big",      "empty",      "empty.key",  "bad.pem",   "words.pem",
        "bad.key",  "odd.pem",    "odd.key",    "pkcs8.pem", "pkcs8.der",
        "part.pem", "second.pem", "unlucky.pem"
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[128];

        snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
        unlink(name);
    }
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unreadable_files_are_reported_by_name),
        TEST(mismatched_or_invalid_key_pairs_are_refused),
        TEST(expired_certificates_are_accepted_only_on_request),
        TEST(unsupported_keys_are_refused),
        TEST(certificates_for_other_uses_are_refused),
        TEST(short_rsa_keys_are_refused),
        TEST(encrypted_keys_need_their_passphrase),
        TEST(wrong_passphrase_with_valid_padding_is_reported),
        TEST(plain_keys_need_no_passphrase),
        TEST(key_pair_is_loaded_from_every_format),
        TEST(failed_add_trust_adds_no_certificate),
        TEST(servers_trust_if_and_only_if_they_ask),
        TEST(a_pair_is_for_its_side),
        TEST(broken_certificate_in_a_chain_is_refused),
        TEST(settings_out_of_range_are_refused),
        TEST(freeze_works_after_the_missing_key_is_added),
        TEST(failed_freeze_keeps_no_system_trust),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
