/* SPDX-License-Identifier: ISC */
/*
 * Handshakes in which the system has no random bytes from some request on: the
 * side that asked for them ends with E_ENTROPY, whatever mbedTLS made of it.
 */
#include <errno.h>
#include <limits.h>
#include <sys/random.h>
#include <unistd.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include <psa/crypto.h>

#include "step.h"
#include "tls/mbedtls/step.h"

#define NEVER UINT_MAX

static unsigned requests_left = NEVER;
static unsigned requests_refused;

/* In place of the C library's. */
int
getentropy(void *buf, size_t len)
{
    if (requests_left == 0) {
        requests_refused++;
        errno = EIO;
        return -1;
    }
    requests_left -= requests_left != NEVER;
    return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

static void
assert_ended(struct flow *f)
{
    struct flow_error err;
    uint8_t byte;
    size_t n;

    assert_status(flow_open(f), FLOW_E_ENTROPY);
    assert_status(flow_read(f, &byte, 1, &n), FLOW_E_ENTROPY);
    flow_get_error(f, FLOW_READ, &err);
    assert_status(err.status, FLOW_E_ENTROPY);
    assert_string_equal(err.text, "the system gives no random bytes");
    assert_non_null(err.hint);
}

/* Whether the handshake fails if only so many requests are answered. */
static bool
handshake_fails(void (*layer)(struct ends *e), unsigned requests)
{
    struct ends e = { 0 };
    enum flow_status a, b;
    bool fails;

    assert_status(flow_pair_new(NULL, 1 << 16, NULL, &e.a, &e.b), FLOW_OK);
    layer(&e);
    requests_refused = 0;
    requests_left = requests;
    step_open_status(&e, &a, &b);
    requests_left = NEVER;
    fails = a != FLOW_OK || b != FLOW_OK;
    assert_int_equal(fails, requests_refused > 0);
    if (a == FLOW_E_ENTROPY)
        assert_ended(e.a);
    if (b == FLOW_E_ENTROPY)
        assert_ended(e.b);
    assert_true(!fails || a == FLOW_E_ENTROPY || b == FLOW_E_ENTROPY);
    ends_close(&e);
    return fails;
}

static void
each_request_may_be_the_last(void **state)
{
    static void (*const layers[])(struct ends * e) = { layer_tls12,
                                                       layer_tls13 };
    size_t i;
    unsigned n;

    (void)state;
    for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        assert_false(handshake_fails(layers[i], NEVER));
        for (n = 0; handshake_fails(layers[i], n); n++)
            assert_in_range(n, 0, 1000);
        /* Both sides ask. */
        assert_in_range(n, 2, 1000);
    }
}

/* A step that asks for len bytes; what it ends with if mbedTLS answers code. */
static int
step_of(size_t len, int code)
{
    struct flow__mbed_step step;
    uint8_t buf[FLOW__RANDOM_POOL + 1];

    flow__mbed_begin_step(&step, NULL);
    assert_int_equal(flow__random_bytes(buf, len), requests_left > 0);
    return flow__mbed_end_step(&step, code);
}

/* Sums of numbers, as RSA gives them, and success. */
static void
mbedtls_may_give_any_number(void **state)
{
    static const int codes[] = { 0, -0x4300, -0x4300 - 0x14, -1 };
    static const size_t lens[] = { 1, FLOW__RANDOM_POOL,
                                   FLOW__RANDOM_POOL + 1 };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
            assert_int_equal(step_of(lens[k], codes[i]), codes[i]);
            requests_left = 0;
            assert_int_equal(step_of(lens[k], codes[i]),
                             PSA_ERROR_INSUFFICIENT_ENTROPY);
            requests_left = NEVER;
        }
}

static void
no_configuration_is_made(void **state)
{
    struct flow_tls_config *config = NULL;
    struct flow_error err;

    (void)state;
    requests_left = 0;
    assert_status(flow_tls_config_new_client(NULL, &config, &err),
                  FLOW_E_ENTROPY);
    assert_status(flow_tls_config_new_server(NULL, &config, &err),
                  FLOW_E_ENTROPY);
    assert_null(config);
    assert_string_equal(err.text, "the system gives no random bytes");
    requests_left = NEVER;
    assert_status(flow_tls_config_new_client(NULL, &config, &err), FLOW_OK);
    flow_tls_config_unref(config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_configuration_is_made),
        cmocka_unit_test(mbedtls_may_give_any_number),
        cmocka_unit_test(each_request_may_be_the_last),
    };

    return cmocka_run_group_tests_name("no entropy", tests, NULL, NULL);
}
