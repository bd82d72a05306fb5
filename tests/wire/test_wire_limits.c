/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lie.h"
#include "mint.h"
#include "pki.h"
#include "stacks.h"
#include "test.h"

/*
 * Requests of honest peers that we do not fulfil, as docs/tls.md lists them:
 * what is refused on purpose, and what the engine cannot do.  The tests of the
 * latter assert today's behaviour and fail when an engine can do it, so that
 * the list is updated.
 */

static struct evil evil;

#define MENDED(what)                                                           \
    fail_msg("the engine %s now: take that from \"What is refused\" in "       \
             "docs/tls.md, and turn this test round",                          \
             what)

/* In a ClientHello, replaces psk_key_exchange_modes. */
static void
put_modes(struct evil_record *r, const void *body, size_t len)
{
    if (is_message(r, CLIENT_HELLO)) {
        remove_extension(r, 45);
        put_extension(r, 45, body, len);
    }
}

static void
modes_with_one_unknown(struct evil *e, struct evil_record *r)
{
    (void)e;
    put_modes(r, "\2\1\13", 3);
}

static void
modes_with_grease(struct evil *e, struct evil_record *r)
{
    (void)e;
    put_modes(r, "\3\13\1\52", 4);
}

static void
modes_as_they_were(struct evil *e, struct evil_record *r)
{
    (void)e;
    put_modes(r, "\1\1", 2);
}

/* The type of the first record that we answer with. */
static uint8_t
first_answer(void (*edit)(struct evil *e, struct evil_record *r))
{
    uint8_t type;

    evil_init(&evil, true, 0x0304);
    evil.edit = edit;
    evil_start(&evil);
    evil_run(&evil);
    assert_true(evil.loop.out_len > 0);
    type = evil.loop.out[0];
    evil_free(&evil);
    return type;
}

/* RFC 8701 3.1 and RFC 8446 4.2.9: unknown modes are ignored. */
static void
engine_refuses_unknown_psk_modes(void **state)
{
    (void)state;
    assert_int_equal(first_answer(modes_as_they_were), 22);
    if (first_answer(modes_with_one_unknown) != 21 ||
        first_answer(modes_with_grease) != 21)
        MENDED("takes psk_key_exchange_modes that it does not know");
}

static void
retry_with_cookie(struct evil *e, struct evil_record *r)
{
    if (is_message(r, SERVER_HELLO) && e->step++ == 0)
        put_extension(r, 44, "\0\7cookies", 9);
}

/* RFC 8446 4.2.2: a client returns the cookie. */
static void
engine_returns_no_cookie(void **state)
{
    (void)state;
    evil_init(&evil, false, 0x0304);
    with_hrr(&evil);
    evil.edit = retry_with_cookie;
    evil_start(&evil);
    evil_run(&evil);
    evil_wrong = 0;
    evil_refused(&evil, FLOW_E_PROTO, 40, PLAIN);
    if (evil_wrong != 0 || strstr(evil_text(&evil), "cookie") == NULL)
        MENDED("answers a HelloRetryRequest with a cookie");
    evil_free(&evil);
}

/* Whether a message of ours acknowledges the name: extension 0 in the answers
 * to the ClientHello. */
static bool acknowledged;
static unsigned answers;

static void
look_for_server_name(int out, int version, int type, const void *buf,
                     size_t len, SSL *ssl, void *arg)
{
    struct evil_record r = { .type = 22 };

    (void)version;
    (void)ssl;
    (void)arg;
    if (out || type != SSL3_RT_HANDSHAKE || len > sizeof(r.content))
        return;
    memcpy(r.content, buf, len);
    r.len = len;
    if (is_message(&r, SERVER_HELLO)) {
        answers++;
        acknowledged |= extension(&r, 0) != 0;
        /* The search finds an extension that is present. */
        assert_true(extension(&r, 23) != 0 || extension(&r, 43) != 0);
    }
    if (is_message(&r, ENCRYPTED_EXTENSIONS)) {
        const uint8_t *p = r.content + 6, *end = r.content + len;

        answers++;
        for (; p + 4 <= end; p += 4 + (p[2] << 8 | p[3]))
            acknowledged |= p[0] == 0 && p[1] == 0;
    }
}

/* RFC 6066 3: a server that used the name acknowledges it. */
static void
engine_acknowledges_no_name(void **state)
{
    struct flow_tls_info info;

    (void)state;
    for (int version = 0x0303; version <= 0x0304; version++) {
        evil_init(&evil, true, version);
        evil_start(&evil);
        acknowledged = false;
        answers = 0;
        SSL_set_msg_callback(evil.peer.ssl, look_for_server_name);
        evil_run(&evil);
        assert_status(evil.status, FLOW_OK);
        assert_int_equal(answers, version - 0x0302);
        assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
        assert_string_equal(info.server_name, "server.example");
        if (acknowledged)
            MENDED("acknowledges the server's name");
        evil_free(&evil);
    }
}

/* --- On purpose --- */

static void
many_extensions(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        for (unsigned i = 0; i < 65; i++)
            put_extension(r, (uint16_t)(0x4200 + i), "", 0);
}

static void
without_master_secret(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        remove_extension(r, 23);
}

/* The length in the message's header is enough. */
static void
hello_above_16_k(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO)) {
        r->content[2] = 0x40;
        r->content[3] = 1;
    }
}

static void
with_rsa_pss_alone(struct evil *e)
{
    flow_tls_config_unref(e->config);
    assert_status(flow_tls_config_new_server(TEST_ENV, &e->config, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(e->config, pki("rsa.pem"),
                                                   pki("rsa.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
    SSL_CTX_set_cipher_list(e->peer.ctx, "ECDHE-RSA-AES128-GCM-SHA256");
    assert_int_equal(
        SSL_CTX_set1_sigalgs_list(e->peer.ctx, "rsa_pss_rsae_sha256"), 1);
}

static void
with_finite_fields(struct evil *e)
{
    assert_int_equal(SSL_CTX_set1_groups_list(e->peer.ctx, "ffdhe2048"), 1);
}

static void
with_p521(struct evil *e)
{
    assert_int_equal(SSL_CTX_set1_groups_list(e->peer.ctx, "P-521"), 1);
}

static void
with_x448(struct evil *e)
{
    assert_int_equal(SSL_CTX_set1_groups_list(e->peer.ctx, "X448"), 1);
}

static void
features_refused_by_policy_have_a_clear_error(void **state)
{
    static const struct lie rows[] = {
        { "65 extensions more", true, 0x0304, many_extensions, 50, PLAIN,
          NULL },
        { "a ClientHello above 16 KiB", true, 0x0304, hello_above_16_k, 50,
          PLAIN, NULL },
        { "TLS 1.2 with RSA-PSS alone", true, 0x0303, NULL, 40, PLAIN,
          with_rsa_pss_alone },
        { "finite-field groups alone", true, 0x0304, NULL, 40, PLAIN,
          with_finite_fields },
        { "P-521 alone", true, 0x0304, NULL, 40, PLAIN, with_p521 },
        { "X448 alone", true, 0x0304, NULL, 40, PLAIN, with_x448 },
        { "no extended master secret", true, 0x0303, without_master_secret, 40,
          PLAIN, NULL },
    };

    (void)state;
    LIES(rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(engine_refuses_unknown_psk_modes),
        TEST(engine_returns_no_cookie),
        TEST(engine_acknowledges_no_name),
        TEST(features_refused_by_policy_have_a_clear_error),
    };

    return TEST_RUN(tests);
}
