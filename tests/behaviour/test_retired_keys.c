/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_holder.h>

#include "pki.h"
#include "step.h"

/*
 * The keys of a configuration that was replaced are wiped when the last of its
 * connections is closed.
 *
 * The allocator of this program takes all memory from one array, and never
 * gives a block out again, so whatever was left in one is still there.  The
 * array is searched for the private keys.
 */

#define ARENA  ((size_t)512 << 20)
#define HEADER 32

static alignas(4096) uint8_t arena[ARENA];
static atomic_size_t arena_used;

static void *
take(size_t size, size_t align)
{
    size_t before = atomic_load(&arena_used);
    size_t at;

    if (size > ARENA / 2)
        return NULL;
    do {
        at = (before + HEADER + align - 1) / align * align;
        if (at + size > ARENA)
            return NULL;
    } while (!atomic_compare_exchange_weak(&arena_used, &before, at + size));
    memcpy(arena + at - HEADER, &size, sizeof(size));
    return arena + at;
}

void *
malloc(size_t size)
{
    return take(size, 32);
}

/* The array is all zero, and no block is used twice. */
void *
calloc(size_t count, size_t size)
{
    return size != 0 && count > SIZE_MAX / size ? NULL : take(count * size, 32);
}

void
free(void *block)
{
    (void)block;
}

void *
realloc(void *block, size_t size)
{
    void *more = take(size, 32);
    size_t before;

    if (more == NULL || block == NULL)
        return more;
    memcpy(&before, (uint8_t *)block - HEADER, sizeof(before));
    return memcpy(more, block, before < size ? before : size);
}

void *
aligned_alloc(size_t align, size_t size)
{
    return take(size, align < 32 ? 32 : align);
}

int
posix_memalign(void **ret, size_t align, size_t size)
{
    *ret = aligned_alloc(align, size);
    return *ret != NULL ? 0 : ENOMEM;
}

/* --- what is searched for --- */

#define SECRET 32

/* A part of a private key, as its number is written and the other way round, as
 * a machine keeps it; and a line of its file. */
struct secret {
    uint8_t big[SECRET];
    uint8_t little[SECRET];
    char text[SECRET];
};

static size_t
decode(const char *text, uint8_t *ret, size_t cap)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, have = 0;
    size_t len = 0;

    for (; *text != '\0' && *text != '-' && len < cap; text++) {
        const char *digit = strchr(digits, *text);

        if (digit == NULL)
            continue;
        bits = bits << 6 | (unsigned)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[len++] = (uint8_t)(bits >> have);
        }
    }
    return len;
}

/* Where these bytes end. */
static const uint8_t *
after(const uint8_t *in, size_t len, const uint8_t *what, size_t what_len)
{
    for (size_t i = 0; i + what_len + SECRET <= len; i++)
        if (memcmp(in + i, what, what_len) == 0)
            return in + i + what_len;
    return NULL;
}

/* PKCS#8: the number of a P-256 key is an OCTET STRING after version 1; an RSA
 * key has its first prime of 128 bytes as INTEGER, of which the middle will
 * do. */
static void
read_secret(const char *file, struct secret *ret)
{
    static const uint8_t ec[] = { 2, 1, 1, 4, 32 };
    static const uint8_t rsa[] = { 2, 0x81, 0x81, 0 };
    static char pem[8192];
    static uint8_t der[4096];
    const uint8_t *found;
    char *begin;
    FILE *in = fopen(pki(file), "r");
    size_t len;

    assert_non_null(in);
    /* No buffer of the stream, which would have the key in it. */
    setvbuf(in, NULL, _IONBF, 0);
    len = fread(pem, 1, sizeof(pem) - 1, in);
    pem[len] = '\0';
    fclose(in);
    begin = strchr(pem, '\n');
    assert_non_null(begin);
    memcpy(ret->text, begin + 1 + 64 / 2, SECRET);
    len = decode(begin, der, sizeof(der));
    found = after(der, len, ec, sizeof(ec));
    if (found == NULL) {
        found = after(der, len, rsa, sizeof(rsa));
        assert_non_null(found);
        found += 64;
    }
    for (size_t i = 0; i < SECRET; i++) {
        ret->big[i] = found[i];
        ret->little[i] = found[SECRET - 1 - i];
    }
}

static size_t
copies_of(const struct secret *s)
{
    const size_t used = atomic_load(&arena_used);
    size_t copies = 0;

    for (size_t i = 0; i + SECRET <= used; i++)
        if (memcmp(arena + i, s->big, SECRET) == 0 ||
            memcmp(arena + i, s->little, SECRET) == 0 ||
            memcmp(arena + i, s->text, SECRET) == 0)
            copies++;
    return copies;
}

/* --- the connections --- */

static struct flow_tls_config *client;

static struct flow_tls_config *
server(const char *kind)
{
    struct flow_tls_config *c;
    char chain[32], key[32];

    snprintf(chain, sizeof(chain), "%s.pem", kind);
    snprintf(key, sizeof(key), "%s.key", kind);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(c, pki(chain), pki(key),
                                                   NULL, NULL, NULL),
                  FLOW_OK);
    return c;
}

static void
connect_now(struct ends *e, struct flow_tls_holder *h)
{
    struct flow_tls_config *c = flow_tls_holder_get(h);

    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e->a, "server.example", 0, &e->a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(c, e->b, 0, &e->b, NULL), FLOW_OK);
    flow_tls_config_unref(c);
}

/* A configuration serves, and is replaced while one connection is open and
 * another is in its handshake. */
static void
check_kind(const char *kind, const char *next)
{
    struct flow_tls_config *c = server(kind);
    struct flow_tls_holder *h;
    struct secret secret;
    struct ends open, running;
    char file[32];

    snprintf(file, sizeof(file), "%s.key", kind);
    read_secret(file, &secret);
    assert_status(flow_tls_holder_new(TEST_ENV, c, &h, NULL), FLOW_OK);
    flow_tls_config_unref(c);
    assert_true(copies_of(&secret) > 0);
    connect_now(&open, h);
    step_open(&open);
    connect_now(&running, h);
    assert_status(flow_open(running.a), FLOW_AGAIN);
    assert_status(flow_open(running.b), FLOW_AGAIN);

    c = server(next);
    assert_status(flow_tls_holder_set(h, c, NULL), FLOW_OK);
    flow_tls_config_unref(c);
    assert_true(copies_of(&secret) > 0);
    ends_close(&open);
    assert_true(copies_of(&secret) > 0);
    step_open(&running);
    step_pass(&running, running.a, 1000, 1);
    assert_true(copies_of(&secret) > 0);
    ends_close(&running);
    assert_int_equal(copies_of(&secret), 0);
    flow_tls_holder_unref(h);
}

static void
the_last_connection_wipes_the_keys(void **state)
{
    (void)state;
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    check_kind("p256", "p384");
    check_kind("rsa", "p256");
    flow_tls_config_unref(client);
}

/* A reload that was refused: its keys do not stay either. */
static void
a_refused_configuration_leaves_no_key(void **state)
{
    struct flow_tls_config *c = server("rsa");
    struct flow_tls_holder *h;
    struct secret secret;

    (void)state;
    assert_status(flow_tls_holder_new(TEST_ENV, c, &h, NULL), FLOW_OK);
    flow_tls_config_unref(c);
    read_secret("p256.key", &secret);
    c = server("p256");
    assert_true(copies_of(&secret) > 0);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("second.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_E_INVAL);
    flow_tls_config_unref(c);
    assert_int_equal(copies_of(&secret), 0);
    flow_tls_holder_unref(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_connection_wipes_the_keys),
        TEST(a_refused_configuration_leaves_no_key),
    };

    return TEST_RUN(tests);
}
