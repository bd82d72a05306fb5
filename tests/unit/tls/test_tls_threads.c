/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include <pthread.h>

#include <flow/env.h>

#include "tls/engine.h"
#include "tls/mbedtls/mbed.h"
#include "tls/record.h"

/*
 * Threads with connections of their own, all the first of the process: they
 * share the engine, which is not initialised yet.
 */

#define THREADS 8
#define ROUNDS  60

static void
seal_and_open(const struct flow__aead_provider *p, enum flow__aead_alg alg,
              uint8_t mark)
{
    uint8_t key[32];
    uint8_t text[333];
    uint8_t sealed[sizeof(text) + 16];
    uint8_t plain[sizeof(text)];
    const uint8_t nonce[12] = { mark };
    const struct flow_cvec vec = { text, sizeof(text) };
    const struct flow__aead_seal seal = {
        .nonce = nonce, .in = &vec, .in_len = sizeof(text), .out = sealed
    };
    const struct flow__aead_open open = { .nonce = nonce,
                                          .in = sealed,
                                          .in_len = sizeof(text) +
                                                    flow__aead_tag_len(alg),
                                          .out = plain };
    void *ctx = calloc(1, p->ctx_size);

    memset(key, mark, sizeof(key));
    memset(text, mark, sizeof(text));
    if (ctx == NULL || p->init(ctx, alg, key, sizeof(key)) != FLOW_OK ||
        p->seal(ctx, &seal) != FLOW_OK || p->open(ctx, &open) != FLOW_OK ||
        memcmp(plain, text, sizeof(text)) != 0)
        abort();
    p->fini(ctx);
    free(ctx);
}

static void *
work(void *arg)
{
    static const enum flow__aead_alg algs[] = { FLOW__AEAD_AES_GCM,
                                                FLOW__AEAD_CHACHA20_POLY1305,
                                                FLOW__AEAD_AES_CCM };
    const struct flow__aead_provider *p;

    if (flow__engine_init(NULL) != FLOW_OK)
        abort();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
            for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
                if (p->supports(algs[a], 32))
                    seal_and_open(p, algs[a], *(const uint8_t *)arg);
    return NULL;
}

static void
threads_have_the_engine_to_themselves(void **state)
{
    pthread_t thread[THREADS];
    uint8_t mark[THREADS];

    (void)state;
    for (uint8_t i = 0; i < THREADS; i++) {
        mark[i] = (uint8_t)(i + 1);
        assert_int_equal(pthread_create(&thread[i], NULL, work, &mark[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

static void *
want_memory(void *arg)
{
    (void)arg;
    flow__mbed_note_no_memory();
    assert_int_equal(flow__mbed_result(0), MBEDTLS_ERR_SSL_ALLOC_FAILED);
    return NULL;
}

/* A failed allocation affects one operation in one thread. */
static void
a_want_of_memory_belongs_to_who_had_it(void **state)
{
    const int failure = MBEDTLS_ERR_SSL_BAD_CERTIFICATE;
    pthread_t thread;

    (void)state;
    flow__mbed_enter();
    assert_int_equal(flow__mbed_result(0), 0);
    assert_int_equal(pthread_create(&thread, NULL, want_memory, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(flow__mbed_result(failure), failure);
    flow__mbed_note_no_memory();
    assert_int_equal(flow__mbed_result(failure), MBEDTLS_ERR_SSL_ALLOC_FAILED);
    assert_int_equal(flow__mbed_result(0), MBEDTLS_ERR_SSL_ALLOC_FAILED);
    flow__mbed_leave();
    flow__mbed_enter();
    assert_int_equal(flow__mbed_result(failure), failure);
    flow__mbed_leave();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_the_engine_to_themselves),
        cmocka_unit_test(a_want_of_memory_belongs_to_who_had_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
