/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <openssl/sha.h>

#include "scene.h"
#include "test.h"

/*
 * What flow_tls_get_facts() and flow_tls_next_name() say of certificates that
 * OpenSSL made.
 */

static struct flow_tls_der
as_der(struct scene_der made)
{
    return (struct flow_tls_der){ made.base, made.len };
}

static void
facts_are_those_of_the_certificate(void **state)
{
    static const struct {
        enum scene_key key;
        const char *name;
        unsigned bits;
    } keys[] = {
        { SCENE_KEY_5, "P-256", 256 },        { SCENE_KEY_P384, "P-384", 384 },
        { SCENE_KEY_P521, "P-521", 521 },     { SCENE_KEY_RSA, "RSA", 2048 },
        { SCENE_KEY_RSA_SHORT, "RSA", 1024 }, { SCENE_KEY_ED25519, "other", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct scene_cert what = { .subject = 9,
                                         .issuer = 1,
                                         .key = keys[i].key,
                                         .signer = SCENE_KEY_1,
                                         .from = -5,
                                         .until = 7,
                                         .serial = i == 0 ? 0x1234 : 0x9234,
                                         .ca = i == 0 ? SCENE_CA_TRUE
                                                      : SCENE_CA_FALSE };
        struct scene_der made = scene_make(&what);
        struct flow_tls_der der = as_der(made);
        struct flow_tls_facts facts;
        unsigned char *spki = NULL;
        uint8_t hash[32];
        int len;

        assert_status(flow_tls_get_facts(&der, &facts), FLOW_OK);
        assert_non_null(strstr(facts.subject, "CN=Name 9"));
        assert_non_null(strstr(facts.issuer, "CN=Name 1"));
        assert_string_equal(facts.serial, i == 0 ? "1234" : "9234");
        assert_string_equal(facts.key, keys[i].name);
        assert_int_equal(facts.key_bits, keys[i].bits);
        assert_int_equal(facts.is_ca, i == 0);
        assert_true(facts.not_before == scene_now - 5);
        assert_true(facts.not_after == scene_now + 7);
        assert_int_equal(facts.names.len, 0);
        SHA256(made.base, made.len, hash);
        assert_memory_equal(facts.fingerprint, hash, sizeof(hash));
        len = i2d_PUBKEY(scene_key(keys[i].key), &spki);
        SHA256(spki, (size_t)len, hash);
        OPENSSL_free(spki);
        assert_memory_equal(facts.pin, hash, sizeof(hash));
        free(made.base);
    }
}

static void
expect_name(struct flow_tls_der *names, enum flow_tls_name_kind wanted,
            const char *text)
{
    char buf[FLOW_TLS_TEXT_MAX];
    enum flow_tls_name_kind kind;

    assert_status(flow_tls_next_name(names, &kind, buf, sizeof(buf)), FLOW_OK);
    assert_int_equal(kind, wanted);
    assert_string_equal(buf, text);
}

static void
names_of_each_kind_are_text(void **state)
{
    static const struct scene_cert what = {
        .subject = 9,
        .key = SCENE_KEY_5,
        .signer = SCENE_KEY_0,
        .san = "DNS:a.example,email:x@a.example,URI:https://a.example/,"
               "IP:10.1.2.3,RID:1.2.3.4,otherName:1.2.3.4;UTF8:x,"
               "dirName:scene"
    };
    struct scene_der made = scene_make(&what);
    struct flow_tls_der der = as_der(made), names;
    enum flow_tls_name_kind kind;
    struct flow_tls_facts facts;
    char small[4];

    (void)state;
    assert_status(flow_tls_get_facts(&der, &facts), FLOW_OK);
    names = facts.names;
    expect_name(&names, FLOW_TLS_NAME_DNS, "a.example");
    expect_name(&names, FLOW_TLS_NAME_EMAIL, "x@a.example");
    expect_name(&names, FLOW_TLS_NAME_URI, "https://a.example/");
    expect_name(&names, FLOW_TLS_NAME_IP, "10.1.2.3");
    expect_name(&names, FLOW_TLS_NAME_REGISTERED_ID, "");
    expect_name(&names, FLOW_TLS_NAME_OTHER, "");
    assert_status(flow_tls_next_name(&names, &kind, small, sizeof(small)),
                  FLOW_OK);
    assert_int_equal(kind, FLOW_TLS_NAME_DIRECTORY);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_status(flow_tls_next_name(&names, &kind, small, sizeof(small)),
                  FLOW_EOF);
    /* A text is cut off at the buffer. */
    names = facts.names;
    assert_status(flow_tls_next_name(&names, &kind, small, sizeof(small)),
                  FLOW_OK);
    assert_string_equal(small, "a.e");
    free(made.base);
}

/* Addresses as glibc writes them, which has RFC 5952 but for IPv4 inside. */
static void
addresses_are_written_as_rfc5952_says(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t san[18] = { 0x87, 16 };
        struct flow_tls_der names = { san, sizeof(san) };
        char wanted[INET6_ADDRSTRLEN];

        /* Many zero groups, and groups of few digits. */
        for (size_t j = 0; j < 8; j++) {
            random = random * 1664525u + 1013904223u;
            if (random >> 31 != 0)
                continue;
            san[2 + 2 * j] = (uint8_t)((random >> 30 & 1) * (random >> 8));
            san[3 + 2 * j] = (uint8_t)(random >> 16);
        }
        assert_non_null(inet_ntop(AF_INET6, san + 2, wanted, sizeof(wanted)));
        if (strchr(wanted, '.') == NULL)
            expect_name(&names, FLOW_TLS_NAME_IP, wanted);
    }
}

static void
what_is_cut_off_is_refused(void **state)
{
    static const struct scene_cert what = { .subject = 9,
                                            .key = SCENE_KEY_5,
                                            .signer = SCENE_KEY_0,
                                            .san = "DNS:a.example" };
    struct scene_der made = scene_make(&what);
    struct flow_tls_facts facts = { .key_bits = 77 };
    struct flow_tls_der cert, chain;

    (void)state;
    for (size_t len = 0; len < made.len; len++) {
        const struct flow_tls_der cut = { made.base, len };

        assert_status(flow_tls_get_facts(&cut, &facts), FLOW_E_INVAL);
        chain = cut;
        assert_status(flow_tls_next_cert(&chain, &cert), FLOW_EOF);
        assert_ptr_equal(chain.base, made.base);
    }
    assert_int_equal(facts.key_bits, 77);
    free(made.base);
}

static void
certificates_of_a_chain_are_taken_one_by_one(void **state)
{
    static const struct scene_cert what = { .subject = 9,
                                            .key = SCENE_KEY_5,
                                            .signer = SCENE_KEY_0 };
    struct scene_der made = scene_make(&what);
    uint8_t *two = malloc(2 * made.len);
    struct flow_tls_der chain = { two, 2 * made.len }, cert;

    (void)state;
    assert_non_null(two);
    memcpy(two, made.base, made.len);
    memcpy(two + made.len, made.base, made.len);
    for (size_t i = 0; i < 2; i++) {
        assert_status(flow_tls_next_cert(&chain, &cert), FLOW_OK);
        assert_ptr_equal(cert.base, two + i * made.len);
        assert_int_equal(cert.len, made.len);
    }
    assert_status(flow_tls_next_cert(&chain, &cert), FLOW_EOF);
    chain = (struct flow_tls_der){ NULL, 0 };
    assert_status(flow_tls_next_cert(&chain, &cert), FLOW_EOF);
    free(two);
    free(made.base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(facts_are_those_of_the_certificate),
        TEST(names_of_each_kind_are_text),
        TEST(addresses_are_written_as_rfc5952_says),
        TEST(what_is_cut_off_is_refused),
        TEST(certificates_of_a_chain_are_taken_one_by_one),
    };

    return TEST_RUN(tests);
}
