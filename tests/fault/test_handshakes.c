/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "pki.h"
#include "step.h"
#include "wrap.h"

/*
 * What handshakes take from the heap, and leave there.  The engine's small
 * blocks come from one arena for each handshake, so it asks the heap for its
 * large buffers and for chunks.  What libcrypto allocates is not seen here: it
 * is a shared library.
 */

/* Blocks of the heap for the engine of one end. */
#define LIMIT 24
#define WARM  10
#define MORE  30

/* What a test of this file needs to count. */
#if defined(__GLIBC__)
#define REQUIRE_COUNTS()
#else
#define REQUIRE_COUNTS() skip()
#endif

static size_t flow_blocks;

static void *
count_block(void *ctx, size_t size, size_t align)
{
    flow_blocks++;
    return flow_env_default()->alloc(ctx, size, align);
}

struct shared {
    struct flow_env env;
    struct flow_tls_config *client;
    struct flow_tls_config *server;
};

static void
share(struct shared *s, enum flow_tls_version version, const char *key)
{
    char chain[32], secret[32];

    s->env = *flow_env_default();
    s->env.alloc = count_block;
    (void)snprintf(chain, sizeof(chain), "%s.pem", key);
    (void)snprintf(secret, sizeof(secret), "%s.key", key);
    assert_status(flow_tls_config_new_client(&s->env, &s->client, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_new_server(&s->env, &s->server, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(s->client, version, version),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(s->client, pki("ca.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      s->server, pki(chain), pki(secret), NULL, NULL, NULL),
                  FLOW_OK);
}

static void
unshare(struct shared *s)
{
    flow_tls_config_unref(s->client);
    flow_tls_config_unref(s->server);
}

/* One handshake; the blocks that the engines of both ends took. */
static size_t
shake(struct shared *s)
{
    struct ends e = { 0 };
    size_t before, blocks;

    assert_status(flow_pair_new(&s->env, 32768, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(s->client, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(s->server, e.b, 0, &e.b, NULL), FLOW_OK);
    before = wrap_total();
    flow_blocks = 0;
    step_open(&e);
    blocks = wrap_total() - before - flow_blocks;
    ends_close(&e);
    return blocks;
}

static void
check(enum flow_tls_version version, const char *key)
{
    struct shared s;
    size_t blocks = 0, bytes;

    REQUIRE_COUNTS();
    share(&s, version, key);
    for (int i = 0; i < WARM; i++)
        blocks = shake(&s);
    bytes = wrap_bytes();
    for (int i = 0; i < MORE; i++)
        assert_int_equal(shake(&s), blocks);
    print_message("%zu blocks of the heap for both engines\n", blocks);
    assert_int_equal(wrap_bytes(), bytes);
    assert_in_range(blocks, 1, 2 * LIMIT);
    unshare(&s);
}

static void
tls12_with_p256(void **state)
{
    (void)state;
    check(FLOW_TLS_1_2, "p256");
}

static void
tls12_with_rsa(void **state)
{
    (void)state;
    check(FLOW_TLS_1_2, "rsa");
}

static void
tls13_with_p256(void **state)
{
    (void)state;
    check(FLOW_TLS_1_3, "p256");
}

static void
tls13_with_rsa(void **state)
{
    (void)state;
    check(FLOW_TLS_1_3, "rsa");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls12_with_p256),
        TEST(tls12_with_rsa),
        TEST(tls13_with_p256),
        TEST(tls13_with_rsa),
    };

    return TEST_RUN(tests);
}
