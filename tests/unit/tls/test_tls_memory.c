/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include <flow/env.h>

#include "tls/kdf.h"
#include "tls/mbedtls/psa.h"
#include "tls/record.h"

/*
 * Records and keys when the crypto library is out of memory: the answer is
 * FLOW_E_NOMEM, no sequence number is used, and the next try works.
 */

static unsigned allocations;
static unsigned fail_at;    /* 0: never */
static unsigned failed;     /* since fail_allocation() */
static unsigned all_failed; /* since the test began */

static void
fail_allocation(unsigned n)
{
    allocations = 0;
    failed = 0;
    fail_at = n;
}

/* mbedTLS allocates with calloc() of the C library, which this definition
 * replaces. */
void *
calloc(size_t count, size_t size)
{
    /* volatile, or the compiler turns this into a call of calloc() itself. */
    void *volatile ptr;

    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    if (++allocations == fail_at) {
        failed++;
        all_failed++;
        return NULL;
    }
    ptr = malloc(count * size);
    return ptr == NULL ? NULL : memset(ptr, 0, count * size);
}

static int
start(void **state)
{
    (void)state;
    return flow__psa_init() == FLOW_OK ? 0 : -1;
}

/* One provider, one algorithm: every allocation of every call fails once. */
static void
check_provider(const struct flow__aead_provider *p, enum flow__aead_alg alg)
{
    static const uint8_t key[32] = { 1 };
    static const uint8_t nonce[12] = { 2 };
    static const uint8_t text[100] = { 3 };
    uint8_t sealed[116];
    uint8_t again[116];
    uint8_t plain[100];
    uint8_t tail;
    const size_t sealed_len = sizeof(text) + flow__aead_tag_len(alg);
    const struct flow_cvec vec = { text, sizeof(text) };
    const struct flow__aead_seal seal = {
        .nonce = nonce, .in = &vec, .in_len = sizeof(text), .out = sealed
    };
    const struct flow__aead_open open = { .nonce = nonce,
                                          .in = sealed,
                                          .in_len = sealed_len,
                                          .out = plain,
                                          .tail = &tail,
                                          .tail_len = 1 };
    void *ctx = calloc(1, p->ctx_size);
    enum flow_status st;
    unsigned n = 0;

    assert_non_null(ctx);
    do {
        fail_allocation(++n);
        st = p->init(ctx, alg, key, sizeof(key));
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
    } while (st != FLOW_OK);
    fail_allocation(0);
    assert_int_equal(p->seal(ctx, &seal), FLOW_OK);
    memcpy(again, sealed, sealed_len);
    n = 0;
    do {
        fail_allocation(++n);
        memset(sealed, 0, sizeof(sealed));
        st = p->seal(ctx, &seal);
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
    } while (st != FLOW_OK);
    assert_memory_equal(sealed, again, sealed_len);
    n = 0;
    do {
        fail_allocation(++n);
        st = p->open(ctx, &open);
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
        assert_memory_equal(sealed, again, sealed_len);
    } while (st != FLOW_OK);
    fail_allocation(0);
    assert_memory_equal(plain, text, sizeof(text) - 1);
    p->fini(ctx);
    free(ctx);
}

static void
every_allocation_of_every_provider_may_fail(void **state)
{
    static const enum flow__aead_alg algs[] = { FLOW__AEAD_AES_GCM,
                                                FLOW__AEAD_CHACHA20_POLY1305,
                                                FLOW__AEAD_AES_CCM,
                                                FLOW__AEAD_AES_CCM_8 };
    const struct flow__aead_provider *p;

    (void)state;
    all_failed = 0;
    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
            if (p->supports(algs[a], 32))
                check_provider(p, algs[a]);
    assert_true(all_failed > 4);
}

static void
a_record_takes_no_memory_once_its_key_is_set(void **state)
{
    static const uint8_t text[1000];
    const struct flow_cvec vec = { text, sizeof(text) };
    const struct flow__record_content content = {
        FLOW__CONTENT_APPLICATION_DATA, &vec, 0, sizeof(text), 0
    };
    const struct flow__suite *suite;
    uint8_t rec[1100];
    uint8_t out[1100];
    size_t rec_len;

    (void)state;
    for (size_t i = 0; (suite = flow__suite_at(i)) != NULL; i++) {
        struct flow__key_material keys = { .key = { 1 } };
        struct flow__record_keys k;
        struct flow__record_opened opened;
        struct flow__fault fault;

        fail_allocation(0);
        assert_int_equal(
            flow__record_init(&k, flow_env_default(), suite, &keys, 1),
            FLOW_OK);
        if (k.provider != &flow__aead_modules) {
            flow__record_fini(&k);
            skip();
        }
        fail_allocation(0);
        assert_int_equal(flow__record_seal(&k, &content, rec, &rec_len),
                         FLOW_OK);
        k.seq--;
        assert_int_equal(
            flow__record_open(&k, rec, rec_len, out, &opened, &fault), FLOW_OK);
        assert_int_equal(allocations, 0);
        flow__record_fini(&k);
    }
}

static void
derivations_and_updates_may_fail(void **state)
{
    const struct flow__suite *suite = flow__suite_find(0x1302);
    const struct flow__secret first = { FLOW__SHA384, { 1, 2, 3 } };
    struct flow__secret secret = first;
    struct flow__key_material keys;
    struct flow__record_keys k;
    enum flow_status st;
    unsigned n = 0;

    (void)state;
    do {
        fail_allocation(++n);
        st = flow__keys_traffic(suite, &first, &keys);
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
    } while (st != FLOW_OK);
    assert_true(n > 1);
    n = 0;
    do {
        fail_allocation(++n);
        st = flow__record_init(&k, flow_env_default(), suite, &keys, 0);
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
    } while (st != FLOW_OK);
    k.seq = 77;
    n = 0;
    do {
        fail_allocation(++n);
        st = flow__record_update(&k, &secret);
        assert_int_equal(st, failed > 0 ? FLOW_E_NOMEM : FLOW_OK);
        if (st == FLOW_OK)
            break;
        assert_true(k.seq == 77);
        assert_memory_equal(&secret, &first, sizeof(secret));
    } while (true);
    assert_true(n > 2);
    assert_true(k.seq == 0);
    fail_allocation(0);
    flow__record_fini(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_every_provider_may_fail),
        cmocka_unit_test(a_record_takes_no_memory_once_its_key_is_set),
        cmocka_unit_test(derivations_and_updates_may_fail),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
