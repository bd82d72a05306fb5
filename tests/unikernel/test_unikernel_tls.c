/* SPDX-License-Identifier: ISC */
/*
 * TLS on a machine whose source of entropy is this test's: without a healthy
 * one no configuration is made and no handshake begins, and the error says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/entropy.h>
#include <flow/flow.h>
#include <flow/machine.h>
#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_mix.h>

#include "tests/unikernel/heap.h"

/* RFC 8446 4.1.2 after 5 + 4 bytes of headers and the version. */
#define RANDOM_AT  11u
#define RANDOM_LEN 32u

static bool broken; /* all ones */

static uint64_t
machine_now(void *ctx)
{
    (void)ctx;
    return 1000;
}

static void
machine_idle(void *ctx, uint64_t deadline, const uint32_t *woken)
{
    (void)ctx;
    (void)deadline;
    (void)woken;
    fail_msg("nothing waits here");
}

static const struct flow_machine machine = {
    .now = machine_now,
    .random = flow_entropy_random,
    .random_error = flow_entropy_error,
    .alloc = heap_alloc,
    .free = heap_free,
    .idle = machine_idle,
};

/* The system's random bytes stand for those of a processor. */
static size_t
source_read(void *ctx, uint8_t *buf, size_t len)
{
    (void)ctx;
    if (!broken)
        return getentropy(buf, len) == 0 ? len : 0;
    memset(buf, 0xff, len);
    return len;
}

static const struct flow_entropy_source source = { .name = "fake",
                                                   .read = source_read,
                                                   .fresh = true };
static const struct flow_entropy_source *const sources[] = { &source };

static void
start(size_t source_count)
{
    const struct flow_entropy_options options = { .sources = sources,
                                                  .source_count = source_count,
                                                  .mix = flow_tls_mix,
                                                  .seed = "seed",
                                                  .seed_len = 4 };

    assert_int_equal(flow_entropy_start(&options, NULL), FLOW_OK);
}

static int
setup(void **state)
{
    (void)state;
    broken = false;
    flow_machine_start(&machine);
    return 0;
}

static void
assert_no_configuration(const char *text)
{
    struct flow_tls_config *config = NULL;
    struct flow_tls_verifier *verifier = NULL;
    struct flow_error err;
    char line[512];

    assert_int_equal(flow_tls_config_new_client(NULL, &config, &err),
                     FLOW_E_ENTROPY);
    flow_error_format(&err, line, sizeof(line));
    assert_string_equal(line, text);
    assert_int_equal(flow_tls_config_new_server(NULL, &config, &err),
                     FLOW_E_ENTROPY);
    assert_int_equal(err.status, FLOW_E_ENTROPY);
    assert_int_equal(flow_tls_verifier_new(NULL, &verifier, NULL),
                     FLOW_E_ENTROPY);
    assert_null(config);
    assert_null(verifier);
}

static struct flow_tls_config *
configure(void)
{
    struct flow_tls_config *config;
    struct flow_error err;

    assert_int_equal(flow_tls_config_new_client(NULL, &config, &err), FLOW_OK);
    assert_int_equal(flow_tls_config_insecure_skip_verify(config, true),
                     FLOW_OK);
    return config;
}

static void
no_configuration_is_made_without_a_source(void **state)
{
    (void)state;
    start(0);
    assert_no_configuration("tls: the machine has no source of entropy; use a "
                            "processor with RDRAND (qemu -cpu max); a seed is "
                            "not a source");
    start(1);
    broken = true;
    for (unsigned i = 0; i < 3; i++)
        assert_no_configuration(
            "tls: no source of entropy is healthy (fake failed the repetition "
            "count test); run the machine on another host; the source is "
            "tested again at each call");
    broken = false;
    flow_tls_config_unref(configure());
    broken = true;
    assert_no_configuration(
        "tls: no source of entropy is healthy (fake failed the repetition "
        "count test); run the machine on another host; the source is "
        "tested again at each call");
}

static void
a_machine_may_have_no_random_at_all(void **state)
{
    struct flow_machine bare = machine;

    (void)state;
    bare.random = NULL;
    flow_machine_start(&bare);
    assert_no_configuration("tls: the machine has no source of entropy; set "
                            "flow_machine.random, as <flow/entropy.h> says");
    bare.random = flow_entropy_random;
    bare.random_error = NULL;
    broken = true;
    start(1);
    assert_no_configuration("tls: no source of entropy is healthy");
    flow_machine_start(&machine);
}

/* A client whose messages arrive at *ret_peer. */
static struct flow *
client(struct flow_tls_config *config, struct flow **ret_peer)
{
    struct flow *lower, *tls;

    assert_int_equal(flow_pair_new(NULL, 1 << 14, NULL, &lower, ret_peer),
                     FLOW_OK);
    assert_int_equal(
        flow_tls_wrap_client(config, lower, "www.test", 0, &tls, NULL),
        FLOW_OK);
    return tls;
}

/* The configuration is older than the failure. */
static void
no_handshake_begins_without_a_source(void **state)
{
    struct flow_tls_config *config;
    struct flow *tls, *peer;
    struct flow_error err;
    uint8_t byte;
    size_t n;

    (void)state;
    start(1);
    config = configure();
    tls = client(config, &peer);
    broken = true;
    assert_int_equal(flow_open(tls), FLOW_E_ENTROPY);
    flow_get_error(tls, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_ENTROPY);
    assert_string_equal(err.detail, "fake failed the repetition count test");
    assert_int_equal(err.alert_sent, -1); /* nothing was sent at all */
    broken = false;
    assert_int_equal(flow_open(tls), FLOW_E_ENTROPY);
    assert_int_equal(flow_read(tls, &byte, 1, &n), FLOW_E_ENTROPY);
    assert_int_equal(flow_write(tls, &byte, 1, &n), FLOW_E_ENTROPY);
    flow_close(tls);
    flow_close(peer);
    tls = client(config, &peer);
    assert_int_equal(flow_open(tls), FLOW_AGAIN);
    flow_close(tls);
    flow_close(peer);
    flow_tls_config_unref(config);
}

/* mbedTLS may give any reason, so without random bytes the key is not blamed.
 */
static void
a_key_is_not_blamed_for_the_source(void **state)
{
    struct flow_tls_config *config;
    struct flow_error err;

    (void)state;
    start(1);
    assert_int_equal(flow_tls_config_new_server(NULL, &config, &err), FLOW_OK);
    assert_int_equal(
        flow_tls_config_add_keypair(config, "x", 1, "x", 1, NULL, NULL, &err),
        FLOW_E_INVAL);
    broken = true;
    assert_int_equal(
        flow_tls_config_add_keypair(config, "x", 1, "x", 1, NULL, NULL, &err),
        FLOW_E_ENTROPY);
    assert_string_equal(err.detail, "fake failed the repetition count test");
    flow_tls_config_unref(config);
}

static void
say_hello(struct flow_tls_config *config, uint8_t ret_random[RANDOM_LEN])
{
    uint8_t message[4096] = { 0 };
    struct flow *tls, *peer;
    size_t n = 0;

    tls = client(config, &peer);
    if (flow_open(tls) == FLOW_AGAIN &&
        flow_read(peer, message, sizeof(message), &n) != FLOW_OK)
        n = 0;
    memset(ret_random, 0, RANDOM_LEN);
    if (n >= RANDOM_AT + RANDOM_LEN)
        memcpy(ret_random, message + RANDOM_AT, RANDOM_LEN);
    flow_close(tls);
    flow_close(peer);
}

/* This port knows no fork, so a child is a clone of the machine. */
static void
clones_say_different_hellos(void **state)
{
    static const uint8_t none[RANDOM_LEN];
    uint8_t ours[RANDOM_LEN], theirs[RANDOM_LEN];
    struct flow_tls_config *config;
    int ends[2], status;
    pid_t child;

    (void)state;
    start(1);
    config = configure();
    say_hello(config, ours);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        say_hello(config, theirs);
        _exit(write(ends[1], theirs, RANDOM_LEN) == RANDOM_LEN ? 0 : 1);
    }
    say_hello(config, ours);
    assert_int_equal(read(ends[0], theirs, RANDOM_LEN), RANDOM_LEN);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    assert_memory_not_equal(ours, none, RANDOM_LEN);
    assert_memory_not_equal(theirs, none, RANDOM_LEN);
    assert_memory_not_equal(ours, theirs, RANDOM_LEN);
    flow_tls_config_unref(config);
}

/* RFC 5869 A.3: neither salt nor label. */
static void
the_mix_is_hkdf(void **state)
{
    static const uint8_t expected[42] = {
        0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80,
        0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1,
        0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d, 0x9d,
        0x20, 0x13, 0x95, 0xfa, 0xa4, 0xb6, 0x1a, 0x96, 0xc8
    };
    uint8_t input[22], out[sizeof(expected)], salted[sizeof(expected)];

    (void)state;
    start(1);
    memset(input, 0x0b, sizeof(input));
    assert_true(flow_tls_mix(NULL, 0, input, sizeof(input), out, sizeof(out)));
    assert_memory_equal(out, expected, sizeof(out));
    assert_true(
        flow_tls_mix(input, 8, input, sizeof(input), salted, sizeof(salted)));
    assert_memory_not_equal(out, salted, sizeof(out));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_configuration_is_made_without_a_source,
                               setup),
        cmocka_unit_test_setup(a_machine_may_have_no_random_at_all, setup),
        cmocka_unit_test_setup(no_handshake_begins_without_a_source, setup),
        cmocka_unit_test_setup(a_key_is_not_blamed_for_the_source, setup),
        cmocka_unit_test_setup(clones_say_different_hellos, setup),
        cmocka_unit_test_setup(the_mix_is_hkdf, setup),
    };

    return cmocka_run_group_tests_name("unikernel: TLS", tests, NULL, NULL);
}
