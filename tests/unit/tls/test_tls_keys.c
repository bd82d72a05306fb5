/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/psa.h"
#include "tests/unit/tls/vectors.h"

#include <flow/env.h>

#include "tls/kdf.h"
#include "tls/keys.h"

static void
assert_hex(const uint8_t *data, const char *hex)
{
    uint8_t want[512];
    size_t len = from_hex(hex, want, sizeof(want));

    assert_memory_equal(data, want, len);
}

/* The suite with secrets of this length: for SHA-384 the one with a key of 32
 * bytes. */
static const struct flow__suite *
suite_for(size_t secret_len)
{
    return flow__suite_find(secret_len == 48 ? 0x1302 : 0x1301);
}

static void
rfc8448_secrets_give_its_keys(void **state)
{
    struct vector_file v;
    unsigned count = 0;

    (void)state;
    vector_open(&v, "rfc8448.txt");
    while (vector_next(&v)) {
        struct flow__secret secret = { .hash = FLOW__SHA256 };
        struct flow__key_material keys;
        size_t len;

        if (!vector_is(&v, "epoch"))
            continue;
        len = vector_bytes(&v, 2, secret.bytes, sizeof(secret.bytes));
        assert_int_equal(flow__keys_traffic(suite_for(len), &secret, &keys),
                         FLOW_OK);
        assert_hex(keys.key, v.word[3]);
        assert_hex(keys.iv, v.word[4]);
        count++;
    }
    assert_int_equal(count, 21);
}

static void
generations_follow_each_other(void **state)
{
    /* Computed with Python's hmac from a secret of the bytes 0, 1, 2, ... */
    static const struct {
        enum flow__hash hash;
        uint16_t suite;
        const char *generation[3];
        const char *key; /* from the third generation */
        const char *iv;
    } table[] = {
        { FLOW__SHA256,
          0x1303,
          { "2cecd0a17506ef5fa73edc062d6e7b5397cf074ec1b4d8f99a120772932f0b45",
            "2d3fb1fe267c2e0126351cc169afb7ca25c0d8867167c55c5533e3715558a6b9",
            "103ec32e011e34d2aed3160d621f7430ec6c0722b0fff9a4da1ce4f8e004f71"
            "f" },
          "cf5619a8c84c2166319e68da8f193d94f162f49853139d62cbe1ad9a7b203cd7",
          "65a7568309eb87bc9c6b91fd" },
        { FLOW__SHA384,
          0x1302,
          { "401331b63e9d59f202e8f041042d9516f4cd7fa2e2ee14631d3b49fc340d7af3"
            "7fc2c0c9f252d8036f81ec5b85cbe5db",
            "1fed39ab8257f49d1c0c45bfbf71ffa8525b22ea44fdbbe0f7dfff32ea98fa53"
            "864320d595ea4ab13a8292965996db9b",
            "eb5aa5506fcaec68b4f015df5240884301ea396e8153134d631495d7d842a1c5"
            "e99f5f3b5fff45cd62ae6b7a8f7282a6" },
          "5a0f4779de5119d6f97cafc119498741ff80ee300a72984cc158871c2d073565",
          "f593bd12855d7e0b9757c37e" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct flow__secret secret = { .hash = table[i].hash };
        struct flow__key_material keys;

        for (size_t b = 0; b < (size_t)secret.hash; b++)
            secret.bytes[b] = (uint8_t)b;
        for (int g = 0; g < 3; g++) {
            struct flow__secret next;

            assert_int_equal(flow__keys_next(&secret, &next), FLOW_OK);
            assert_int_equal(next.hash, secret.hash);
            assert_hex(next.bytes, table[i].generation[g]);
            secret = next;
        }
        assert_int_equal(flow__keys_traffic(flow__suite_find(table[i].suite),
                                            &secret, &keys),
                         FLOW_OK);
        assert_hex(keys.key, table[i].key);
        assert_hex(keys.iv, table[i].iv);
    }
}

static void
labels_and_contexts_have_their_limits(void **state)
{
    struct flow__secret secret = { .hash = FLOW__SHA256 };
    uint8_t context[FLOW__CONTEXT_MAX + 1] = { 0 };
    char label[FLOW__LABEL_MAX + 2];
    uint8_t out[100];

    (void)state;
    for (size_t b = 0; b < 32; b++)
        secret.bytes[b] = (uint8_t)b;
    assert_int_equal(flow__keys_expand_label(&secret, "label",
                                             (const uint8_t *)"context", 7, out,
                                             sizeof(out)),
                     FLOW_OK);
    assert_hex(out,
               "1718f8f4606a9c1bf0fca8ca9255ac51d81b43c2703e65fc0dd90a6d829531"
               "89d30a8516e1ca60ef8fd7abe868dffc3d5c0d2eb5d0fb68790508836282cc"
               "1ebd101021c25187cbf4c42971abc0688a54921c6f014a0d0970b565b0e7cd"
               "fa7627c80e7152");
    memset(label, 'x', sizeof(label));
    label[FLOW__LABEL_MAX + 1] = '\0';
    assert_int_equal(flow__keys_expand_label(&secret, label, NULL, 0, out, 1),
                     FLOW_E_INVAL);
    label[FLOW__LABEL_MAX] = '\0';
    assert_int_equal(flow__keys_expand_label(&secret, label, context,
                                             FLOW__CONTEXT_MAX, out, 1),
                     FLOW_OK);
    assert_int_equal(flow__keys_expand_label(&secret, label, context,
                                             FLOW__CONTEXT_MAX + 1, out, 1),
                     FLOW_E_INVAL);
}

static void
a_secret_of_another_hash_is_refused(void **state)
{
    struct flow__secret secret = { .hash = FLOW__SHA384 };
    struct flow__key_material keys;

    (void)state;
    assert_int_equal(
        flow__keys_traffic(flow__suite_find(0x1301), &secret, &keys),
        FLOW_E_INVAL);
}

static void
the_prf_gives_published_vectors(void **state)
{
    /* The vectors of the TLS working group's list for P_SHA256 and P_SHA384. */
    static const struct {
        enum flow__hash hash;
        const char *secret;
        const char *seed;
        const char *out;
    } table[] = {
        { FLOW__SHA256, "9bbe436ba940f017b17652849a71db35",
          "a0ba9f936cda311827a6f796ffd5198c",
          "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
          "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
          "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
          "87347b66" },
        { FLOW__SHA384, "b80b733d6ceefcdc71566ea48e5567df",
          "cd665cf6a8447dd6ff8b27555edb7465",
          "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd"
          "e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd"
          "8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425"
          "9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6"
          "91c8f3a26854308d5eaa3be85e0990703d73e56f" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint8_t secret[64];
        uint8_t seed[64];
        uint8_t out[256];
        const struct flow__kdf_prf prf = {
            .hash = table[i].hash,
            .secret = secret,
            .secret_len = from_hex(table[i].secret, secret, sizeof(secret)),
            .label = "test label",
            .seed = seed,
            .seed_len = from_hex(table[i].seed, seed, sizeof(seed)),
        };

        assert_int_equal(
            flow__kdf_tls12_prf(&prf, out, strlen(table[i].out) / 2), FLOW_OK);
        assert_hex(out, table[i].out);
    }
}

static void
key_blocks_are_those_of_real_sessions(void **state)
{
    struct flow__key_material client = { 0 };
    struct flow__key_material server = { 0 };
    const struct flow__suite *suite = NULL;
    struct vector_file v;
    unsigned count = 0;

    (void)state;
    vector_open(&v, "tls12.txt");
    while (vector_next(&v)) {
        if (vector_is(&v, "suite")) {
            uint8_t master[FLOW__MASTER_LEN];
            uint8_t randoms[2][FLOW__RANDOM_LEN];
            const struct flow__keys12 from = { master, randoms[0], randoms[1] };

            suite = flow__suite_find((uint16_t)strtoul(v.word[1], NULL, 16));
            assert_non_null(suite);
            vector_bytes(&v, 2, master, sizeof(master));
            vector_bytes(&v, 3, randoms[0], sizeof(randoms[0]));
            vector_bytes(&v, 4, randoms[1], sizeof(randoms[1]));
            assert_int_equal(flow__keys_tls12(suite, &from, &client, &server),
                             FLOW_OK);
        } else if (vector_is(&v, "keys")) {
            const bool is_client = strcmp(v.word[1], "c") == 0;
            const struct flow__key_material *k = is_client ? &client : &server;

            assert_hex(k->key, v.word[2]);
            assert_hex(k->iv, v.word[3]);
            assert_int_equal(strlen(v.word[2]) / 2, suite->key_len);
            assert_int_equal(strlen(v.word[3]) / 2, suite->fixed_iv_len);
            count++;
        }
    }
    assert_int_equal(count, 14);
}

static void
a_derivation_that_fails_leaves_nothing(void **state)
{
    uint8_t prk[32] = { 1 };
    static uint8_t out[255 * 32 + 1];

    (void)state;
    memset(out, 0xee, sizeof(out));
    assert_int_equal(flow__kdf_hkdf_expand(FLOW__SHA256, prk, sizeof(prk), NULL,
                                           0, out, sizeof(out)),
                     FLOW_E_SYS);
    for (size_t i = 0; i < sizeof(out); i++)
        assert_int_equal(out[i], 0);
    assert_int_equal(flow__kdf_hkdf_expand(FLOW__SHA256, prk, sizeof(prk), NULL,
                                           0, out, sizeof(out) - 1),
                     FLOW_OK);
}

static void
the_table_of_suites_is_consistent(void **state)
{
    const struct flow__suite *s;
    size_t i;

    (void)state;
    for (i = 0; (s = flow__suite_at(i)) != NULL; i++) {
        assert_ptr_equal(flow__suite_find(s->id), s);
        assert_int_equal(s->fixed_iv_len + s->explicit_nonce_len, 12);
        assert_true(s->key_len == 16 || s->key_len == 32);
        assert_int_equal(s->tag_len, s->aead == FLOW__AEAD_AES_CCM_8 ? 8 : 16);
        assert_true(s->record_limit >= 1 << 20);
        assert_int_equal(s->auth == FLOW__AUTH_ANY, s->version == 0x0304);
        assert_int_equal(strstr(s->name, "SHA384") != NULL,
                         s->hash == FLOW__SHA384);
        assert_int_equal(strstr(s->name, "AES_128") != NULL, s->key_len == 16);
        assert_int_equal(strstr(s->name, "_ECDSA_") != NULL,
                         s->auth == FLOW__AUTH_ECDSA);
        assert_int_equal(strstr(s->name, "_RSA_") != NULL,
                         s->auth == FLOW__AUTH_RSA);
    }
    assert_int_equal(i, 15);
    assert_null(flow__suite_find(0x009c)); /* RSA key exchange */
    assert_null(flow__suite_find(0xc013)); /* CBC */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_suites_is_consistent),
        cmocka_unit_test(rfc8448_secrets_give_its_keys),
        cmocka_unit_test(generations_follow_each_other),
        cmocka_unit_test(labels_and_contexts_have_their_limits),
        cmocka_unit_test(a_secret_of_another_hash_is_refused),
        cmocka_unit_test(the_prf_gives_published_vectors),
        cmocka_unit_test(key_blocks_are_those_of_real_sessions),
        cmocka_unit_test(a_derivation_that_fails_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, start_psa, NULL);
}
