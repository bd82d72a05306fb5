/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/sha.h>

#include <flow/tls.h>

#include "scene.h"
#include "test.h"

/*
 * What a verifier is set up with besides its trust: revocation lists, pins,
 * minima, a callback; the limits on its work; and its lifetime.
 */

/* Name 0 is trusted, 1 an authority, 9 the server. */
static const struct scene_cert root = { .key = SCENE_KEY_0,
                                        .signer = SCENE_KEY_0,
                                        .ca = SCENE_CA_TRUE };
static const struct scene_cert authority = { .subject = 1,
                                             .key = SCENE_KEY_1,
                                             .signer = SCENE_KEY_0,
                                             .ca = SCENE_CA_TRUE,
                                             .serial = 21 };
static const struct scene_cert server = { .subject = 9,
                                          .issuer = 1,
                                          .key = SCENE_KEY_5,
                                          .signer = SCENE_KEY_1,
                                          .san = "DNS:a.example",
                                          .serial = 22 };

static void
good_scene(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    scene_trust(s, &root);
    scene_send(s, &server);
    scene_send(s, &authority);
    s->name = "a.example";
}

/* Verify with v, release it, and check the verdict. */
static void
expect(const struct scene *s, struct flow_tls_verifier *v,
       enum flow_tls_check check, unsigned depth)
{
    struct flow_tls_verdict verdict;
    enum flow_status st = scene_verify(s, v, &verdict);

    flow_tls_verifier_unref(v);
    if (verdict.check != check || verdict.depth != depth)
        fail_msg("%d at %u (%s), not %d at %u", verdict.check, verdict.depth,
                 verdict.text, check, depth);
    assert_status(st, check == FLOW_TLS_CHECK_NONE ? FLOW_OK : FLOW_E_AUTH);
}

static void
revocation_lists_are_looked_at(void **state)
{
    static const long leaf[] = { 5, 22, 0 }, other[] = { 5, 220, 0 },
                      between[] = { 21, 0 };
    static const struct {
        const char *what;
        struct scene_crl lists[3]; /* one that is all zero ends them */
        bool require;
        enum flow_tls_check check;
        unsigned depth;
    } rows[] = {
        { "the leaf is in it",
          { { 1, SCENE_KEY_1, 0, 0, leaf, false } },
          false,
          FLOW_TLS_CHECK_REVOKED,
          0 },
        { "others are in it",
          { { 1, SCENE_KEY_1, 0, 0, other, false } },
          false,
          FLOW_TLS_CHECK_NONE,
          0 },
        { "none is in it",
          { { 1, SCENE_KEY_1, 0, 0, NULL, false } },
          false,
          FLOW_TLS_CHECK_NONE,
          0 },
        { "the authority is in it",
          { { 0, SCENE_KEY_0, 0, 0, between, false } },
          false,
          FLOW_TLS_CHECK_REVOKED,
          1 },
        { "another key has signed it",
          { { 1, SCENE_KEY_2, 0, 0, other, false } },
          false,
          FLOW_TLS_CHECK_REVOCATION,
          0 },
        { "it is out of date",
          { { 1, SCENE_KEY_1, -9, -1, other, false } },
          false,
          FLOW_TLS_CHECK_REVOCATION,
          0 },
        { "it is out of date, and the leaf is in it",
          { { 1, SCENE_KEY_1, -9, -1, leaf, false } },
          false,
          FLOW_TLS_CHECK_REVOKED,
          0 },
        { "it is not valid yet",
          { { 1, SCENE_KEY_1, 1, 9, other, false } },
          false,
          FLOW_TLS_CHECK_REVOCATION,
          0 },
        { "one of two is valid",
          { { 1, SCENE_KEY_1, -9, -1, other, false },
            { 1, SCENE_KEY_1, 0, 0, other, false } },
          false,
          FLOW_TLS_CHECK_NONE,
          0 },
        { "of a stranger",
          { { 7, SCENE_KEY_1, 0, 0, leaf, false } },
          false,
          FLOW_TLS_CHECK_NONE,
          0 },
        { "all are required, and one is missing",
          { { 1, SCENE_KEY_1, 0, 0, other, false } },
          true,
          FLOW_TLS_CHECK_REVOCATION,
          1 },
        { "all are required and there",
          { { 1, SCENE_KEY_1, 0, 0, other, false },
            { 0, SCENE_KEY_0, 0, 0, other, false } },
          true,
          FLOW_TLS_CHECK_NONE,
          0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flow_tls_verifier *v;
        struct scene s;

        guard_case(rows[i].what);
        good_scene(&s);
        for (size_t n = 0; n < 3 && (rows[i].lists[n].issuer != 0 ||
                                     rows[i].lists[n].serials != NULL);
             n++)
            scene_list(&s, &rows[i].lists[n]);
        v = scene_verifier(&s);
        assert_status(flow_tls_verifier_require_crl(v, rows[i].require),
                      FLOW_OK);
        expect(&s, v, rows[i].check, rows[i].depth);
        scene_free(&s);
    }
}

/* The issuer must be allowed to sign lists. */
static void
revocation_lists_need_a_key_for_them(void **state)
{
    static const struct scene_crl list = { .issuer = 1, .signer = SCENE_KEY_1 };
    struct scene_cert between = authority;
    struct scene s;

    (void)state;
    for (int may = 0; may < 2; may++) {
        memset(&s, 0, sizeof(s));
        between.usage = may ? "keyCertSign,cRLSign" : "keyCertSign";
        scene_trust(&s, &root);
        scene_send(&s, &server);
        scene_send(&s, &between);
        scene_list(&s, &list);
        s.name = "a.example";
        expect(&s, scene_verifier(&s),
               may ? FLOW_TLS_CHECK_NONE : FLOW_TLS_CHECK_REVOCATION, 0);
        scene_free(&s);
    }
}

static void
partial_revocation_lists_are_refused(void **state)
{
    static const struct scene_crl delta = { .issuer = 1,
                                            .signer = SCENE_KEY_1,
                                            .critical = true };
    struct scene_der der = scene_make_crl(&delta);
    struct flow_tls_verifier *v;
    struct flow_error err;

    (void)state;
    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_crl(v, der.base, der.len, &err),
                  FLOW_E_NOTSUP);
    assert_non_null(strstr(err.text, "critical extension"));
    assert_status(flow_tls_verifier_add_crl(v, der.base, der.len - 1, &err),
                  FLOW_E_INVAL);
    assert_status(flow_tls_verifier_add_crl(v, "", 0, &err), FLOW_E_INVAL);
    flow_tls_verifier_unref(v);
    free(der.base);
}

static void
one_key_of_the_path_is_pinned(void **state)
{
    static const enum scene_key keys[] = { SCENE_KEY_5, SCENE_KEY_1,
                                           SCENE_KEY_0, SCENE_KEY_2 };
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    good_scene(&s);
    for (size_t i = 0; i < 4; i++) {
        unsigned char *spki = NULL;
        int len = i2d_PUBKEY(scene_key(keys[i]), &spki);
        uint8_t pin[32], zero[32] = { 0 };

        SHA256(spki, (size_t)len, pin);
        OPENSSL_free(spki);
        v = scene_verifier(&s);
        assert_status(flow_tls_verifier_add_pin(v, zero), FLOW_OK);
        assert_status(flow_tls_verifier_add_pin(v, pin), FLOW_OK);
        expect(&s, v, i < 3 ? FLOW_TLS_CHECK_NONE : FLOW_TLS_CHECK_PIN, 0);
    }
    scene_free(&s);
}

static void
minima_can_be_raised(void **state)
{
    static const struct {
        enum scene_key root;
        enum scene_key leaf;
        enum scene_hash hash;
        unsigned rsa, ec, bits;
        enum flow_tls_check check;
    } rows[] = {
        { SCENE_KEY_P384, SCENE_KEY_P384, SCENE_SHA384, 2048, 384, 384,
          FLOW_TLS_CHECK_NONE },
        { SCENE_KEY_P384, SCENE_KEY_0, SCENE_SHA384, 2048, 384, 384,
          FLOW_TLS_CHECK_KEY },
        { SCENE_KEY_P384, SCENE_KEY_P384, SCENE_SHA256, 2048, 256, 384,
          FLOW_TLS_CHECK_HASH },
        { SCENE_KEY_P384, SCENE_KEY_RSA, SCENE_SHA256, 2048, 256, 256,
          FLOW_TLS_CHECK_NONE },
        { SCENE_KEY_P384, SCENE_KEY_RSA, SCENE_SHA256, 3072, 256, 256,
          FLOW_TLS_CHECK_KEY },
    };
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct scene_cert top = { .key = rows[i].root,
                                        .signer = rows[i].root,
                                        .ca = SCENE_CA_TRUE };
        const struct scene_cert leaf = { .subject = 9,
                                         .key = rows[i].leaf,
                                         .signer = rows[i].root,
                                         .hash = rows[i].hash };

        memset(&s, 0, sizeof(s));
        scene_trust(&s, &top);
        scene_send(&s, &leaf);
        v = scene_verifier(&s);
        assert_status(flow_tls_verifier_set_minimum(v, 2047, 256, 256),
                      FLOW_E_INVAL);
        assert_status(flow_tls_verifier_set_minimum(v, 2048, 255, 256),
                      FLOW_E_INVAL);
        assert_status(flow_tls_verifier_set_minimum(v, 2048, 256, 160),
                      FLOW_E_INVAL);
        assert_status(flow_tls_verifier_set_minimum(v, rows[i].rsa, rows[i].ec,
                                                    rows[i].bits),
                      FLOW_OK);
        expect(&s, v, rows[i].check, 0);
        scene_free(&s);
    }
}

struct answers {
    enum flow_status answer;
    unsigned calls;
    struct flow_tls_verdict seen;
};

static enum flow_status
note_path(void *user, const struct flow_tls_verdict *verdict)
{
    struct answers *a = user;

    a->calls++;
    a->seen = *verdict;
    return a->answer;
}

static void
callback_may_reject_and_never_accept(void **state)
{
    struct flow_tls_verifier *v;
    struct answers a;
    struct scene s;

    (void)state;
    good_scene(&s);
    for (int good = 0; good < 2; good++) {
        memset(&a, 0, sizeof(a));
        a.answer = good ? FLOW_OK : FLOW_E_PROTO;
        v = scene_verifier(&s);
        assert_status(flow_tls_verifier_set_callback(v, note_path, &a),
                      FLOW_OK);
        expect(&s, v, good ? FLOW_TLS_CHECK_NONE : FLOW_TLS_CHECK_CALLBACK, 0);
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.seen.check, FLOW_TLS_CHECK_NONE);
        assert_int_equal(a.seen.path_len, 3);
        assert_int_equal(a.seen.signatures, 2);
        assert_string_equal(a.seen.matched_name, "a.example");
    }
    /* Not asked about a path that fails. */
    memset(&a, 0, sizeof(a));
    s.name = "b.example";
    v = scene_verifier(&s);
    assert_status(flow_tls_verifier_set_callback(v, note_path, &a), FLOW_OK);
    expect(&s, v, FLOW_TLS_CHECK_NAME, 0);
    assert_int_equal(a.calls, 0);
    scene_free(&s);
}

/* Its own signature is not checked, and it need not be an authority's. */
static void
trusted_certificate_of_the_peer_needs_no_issuer(void **state)
{
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    memset(&s, 0, sizeof(s));
    scene_send(&s, &server);
    s.trust[0].len = s.chain[0].len;
    s.trust[0].base = malloc(s.chain[0].len);
    assert_non_null(s.trust[0].base);
    memcpy(s.trust[0].base, s.chain[0].base, s.chain[0].len);
    s.trust_count = 1;
    s.name = "a.example";
    expect(&s, scene_verifier(&s), FLOW_TLS_CHECK_NONE, 0);
    s.name = "b.example";
    v = scene_verifier(&s);
    expect(&s, v, FLOW_TLS_CHECK_NAME, 0);
    scene_free(&s);
}

/* Many certificates of the authority's name below the trusted one, all forged:
 * each costs a signature check, up to the limit. */
static void
work_is_bounded(void **state)
{
    struct scene_cert forged = authority;
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    memset(&s, 0, sizeof(s));
    scene_trust(&s, &root);
    scene_send(&s, &server);
    forged.forged = true;
    for (int i = 0; i < 22; i++) {
        forged.serial = 100 + i;
        scene_send(&s, &forged);
    }
    v = scene_verifier(&s);
    assert_status(scene_verify(&s, v, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_WORK);
    assert_int_equal(verdict.signatures, 16);
    scene_free(&s);

    /* A peer that knows no trusted name has no signature checked. */
    for (int i = 0; i < 24; i++) {
        forged.issuer = forged.subject = 100 + i;
        forged.serial = 100 + i;
        scene_send(&s, &forged);
    }
    assert_status(scene_verify(&s, v, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_TRUST);
    assert_int_equal(verdict.signatures, 0);

    scene_send(&s, &forged);
    assert_status(scene_verify(&s, v, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_COUNT);
    flow_tls_verifier_unref(v);
    scene_free(&s);
}

/* Every certificate of one name may have issued every other. */
static void
search_is_bounded(void **state)
{
    struct scene_cert between = authority, leaf = server;
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    memset(&s, 0, sizeof(s));
    scene_trust(&s, &root);
    leaf.issuer = 1;
    scene_send(&s, &leaf);
    for (int i = 0; i < 23; i++) {
        between.issuer = 1;
        between.serial = 100 + i;
        between.signer = SCENE_KEY_1;
        scene_send(&s, &between);
    }
    v = scene_verifier(&s);
    assert_status(scene_verify(&s, v, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_WORK);
    assert_int_equal(verdict.signatures, 0);
    flow_tls_verifier_unref(v);
    scene_free(&s);
}

static void
make_path(struct scene *s, int authorities)
{
    struct scene_cert cert = server;

    memset(s, 0, sizeof(*s));
    scene_trust(s, &root);
    for (int i = authorities; i >= 0; i--) {
        cert.issuer = i;
        cert.signer = (enum scene_key)(i % 5);
        cert.serial = 100 + i;
        scene_send(s, &cert);
        cert = authority;
        cert.subject = i;
        cert.key = (enum scene_key)(i % 5);
    }
    s->name = "a.example";
}

static void
paths_have_at_most_ten_certificates(void **state)
{
    struct scene s;

    (void)state;
    make_path(&s, 8);
    expect(&s, scene_verifier(&s), FLOW_TLS_CHECK_NONE, 0);
    scene_free(&s);
    make_path(&s, 9);
    expect(&s, scene_verifier(&s), FLOW_TLS_CHECK_LENGTH, 9);
    scene_free(&s);
}

static void
wrong_input_is_refused(void **state)
{
    struct flow_tls_verify_input input = { .time = SCENE_NOW };
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    good_scene(&s);
    v = scene_verifier(&s);
    input.chain = s.chain[0].base;
    input.chain_len = s.chain[0].len;
    input.name = "not a name";
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_INVAL);
    input.name = NULL;
    input.purpose = (enum flow_tls_purpose)2;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_INVAL);
    input.purpose = FLOW_TLS_PURPOSE_SERVER;

    input.chain_len--;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_MALFORMED);
    input.chain_len = 0;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_MISSING);
    assert_int_equal(verdict.flags, FLOW_VERIFY_MISSING);
    flow_tls_verifier_unref(v);
    scene_free(&s);
}

static int64_t
no_clock(void *ctx)
{
    (void)ctx;
    return -1;
}

/* The clock of the environment, which may have none. */
static void
time_is_that_of_the_environment(void **state)
{
    struct flow_tls_verify_input input = { .time = FLOW_TLS_TIME_NOW };
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    struct flow_env clockless;
    struct scene s;
    int64_t now = test_env.env.wall(test_env.env.ctx);

    (void)state;
    memset(&s, 0, sizeof(s));
    scene_trust(&s, &root);
    scene_send(&s, &authority);
    v = scene_verifier(&s);
    input.chain = s.chain[0].base;
    input.chain_len = s.chain[0].len;
    test_env.wall_offset = SCENE_NOW - now;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_OK);
    test_env.wall_offset = SCENE_NOW - now + 86400;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_EXPIRED);
    /* A clock that was not set is wrong, and not a clock that is missing. */
    test_env.wall_offset = -now - 1000000;
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_FUTURE);
    test_env.wall_offset = 0;
    flow_tls_verifier_unref(v);
    clockless = *TEST_ENV;
    clockless.wall = no_clock;
    assert_status(flow_tls_verifier_new(&clockless, &v, NULL), FLOW_OK);
    assert_status(
        flow_tls_verifier_add_trust(v, s.trust[0].base, s.trust[0].len, NULL),
        FLOW_OK);
    assert_status(flow_tls_verify(v, &input, &verdict), FLOW_OK);
    flow_tls_verifier_unref(v);
    scene_free(&s);
}

static void
used_verifier_does_not_change(void **state)
{
    static const uint8_t pin[32];
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    struct scene s;

    (void)state;
    good_scene(&s);
    v = scene_verifier(&s);
    assert_ptr_equal(flow_tls_verifier_ref(v), v);
    assert_status(scene_verify(&s, v, &verdict), FLOW_OK);
    assert_status(
        flow_tls_verifier_add_trust(v, s.trust[0].base, s.trust[0].len, NULL),
        FLOW_E_BUSY);
    assert_status(flow_tls_verifier_add_system_trust(v, NULL), FLOW_E_BUSY);
    assert_status(flow_tls_verifier_add_crl(v, "", 0, NULL), FLOW_E_BUSY);
    assert_status(flow_tls_verifier_require_crl(v, true), FLOW_E_BUSY);
    assert_status(flow_tls_verifier_add_pin(v, pin), FLOW_E_BUSY);
    assert_status(flow_tls_verifier_set_minimum(v, 2048, 256, 256),
                  FLOW_E_BUSY);
    assert_status(flow_tls_verifier_set_callback(v, NULL, NULL), FLOW_E_BUSY);
    flow_tls_verifier_unref(v);
    assert_status(scene_verify(&s, v, &verdict), FLOW_OK);
    flow_tls_verifier_unref(v);
    scene_free(&s);
}

/* Everything again with each allocation failing in turn. */
static enum flow_status
set_up_and_verify(const struct scene *s, struct flow_tls_verdict *ret)
{
    static const uint8_t pin[32];
    struct flow_tls_verifier *v;
    enum flow_status st = flow_tls_verifier_new(TEST_ENV, &v, NULL);

    if (st != FLOW_OK)
        return st;
    for (size_t i = 0; st == FLOW_OK && i < s->trust_count; i++)
        st = flow_tls_verifier_add_trust(v, s->trust[i].base, s->trust[i].len,
                                         NULL);
    for (size_t i = 0; st == FLOW_OK && i < s->crl_count; i++)
        st = flow_tls_verifier_add_crl(v, s->crl[i].base, s->crl[i].len, NULL);
    if (st == FLOW_OK)
        st = flow_tls_verifier_add_pin(v, pin);
    if (st == FLOW_OK)
        st = scene_verify(s, v, ret);
    flow_tls_verifier_unref(v);
    return st;
}

static void
lack_of_memory_is_reported(void **state)
{
    static const struct scene_crl list = { .issuer = 1, .signer = SCENE_KEY_1 };
    struct flow_tls_verdict verdict;
    enum flow_status st = FLOW_E_NOMEM;
    struct scene s;
    size_t n;

    (void)state;
    good_scene(&s);
    for (int i = 0; i < 8; i++)
        scene_trust(&s, &authority);
    scene_list(&s, &list);
    for (n = 1; st == FLOW_E_NOMEM; n++) {
        test_env_fail(n, false);
        st = set_up_and_verify(&s, &verdict);
        test_env_fail(0, false);
    }
    assert_status(st, FLOW_E_AUTH);
    assert_int_equal(verdict.check, FLOW_TLS_CHECK_PIN);
    /* A verifier, its lists, and a copy of each item. */
    assert_true(n > 15);
    scene_free(&s);
}

/* The chain of a scene, and the server's key, as PEM. */
static BIO *
scene_pem(const struct scene *s)
{
    BIO *out = BIO_new(BIO_s_mem());

    for (size_t i = 0; i < s->chain_count; i++) {
        const unsigned char *p = s->chain[i].base;
        X509 *cert = d2i_X509(NULL, &p, (long)s->chain[i].len);

        assert_int_equal(PEM_write_bio_X509(out, cert), 1);
        X509_free(cert);
    }
    assert_int_equal(PEM_write_bio_PrivateKey(out, scene_key(server.key), NULL,
                                              NULL, 0, NULL, NULL),
                     1);
    return out;
}

/* What the engine does not know in a server's own chain is for the client to
 * check. */
static void
server_serves_a_chain_with_name_constraints(void **state)
{
    struct scene_cert between = authority;
    struct flow_tls_config *c;
    struct flow_error err;
    struct scene s;
    char *pem;
    long len;
    BIO *out;

    (void)state;
    between.constraints = "critical,permitted;DNS:example";
    memset(&s, 0, sizeof(s));
    scene_send(&s, &server);
    scene_send(&s, &between);
    out = scene_pem(&s);
    len = BIO_get_mem_data(out, &pem);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_allow_expired(c, true), FLOW_OK);
    assert_status(flow_tls_config_add_keypair(c, pem, (size_t)len, pem,
                                              (size_t)len, NULL, NULL, &err),
                  FLOW_OK);
    flow_tls_config_unref(c);
    BIO_free(out);
    scene_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(revocation_lists_are_looked_at),
        TEST(revocation_lists_need_a_key_for_them),
        TEST(partial_revocation_lists_are_refused),
        TEST(one_key_of_the_path_is_pinned),
        TEST(minima_can_be_raised),
        TEST(callback_may_reject_and_never_accept),
        TEST(server_serves_a_chain_with_name_constraints),
        TEST(trusted_certificate_of_the_peer_needs_no_issuer),
        TEST(work_is_bounded),
        TEST(search_is_bounded),
        TEST(paths_have_at_most_ten_certificates),
        TEST(wrong_input_is_refused),
        TEST(time_is_that_of_the_environment),
        TEST(used_verifier_does_not_change),
        TEST(lack_of_memory_is_reported),
    };

    return TEST_RUN(tests);
}
