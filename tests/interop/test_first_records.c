/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>

#include "env.h"
#include "link.h"
#include "step.h"

/*
 * Small records at the start of a connection and after a pause, full ones
 * otherwise: the lengths that are on the wire, read by OpenSSL.
 */

#define SECOND UINT64_C(1000000000)
#define TAG    16

static uint32_t version;

/* The content of the next record on the wire from *at on, which is moved. */
static size_t
content(const struct link *l, size_t *at)
{
    const size_t around = version == 0x0304 ? TAG + 1 : TAG + 8;
    size_t len;

    assert_true(*at + 5 <= l->wire.len);
    assert_int_equal(l->wire.data[*at], 23);
    len = (size_t)l->wire.data[*at + 3] << 8 | l->wire.data[*at + 4];
    *at += 5 + len;
    return len - around;
}

/* Write len bytes; the records must be count of size, then full ones, then the
 * rest. */
static void
write_in(struct link *l, size_t len, size_t size, unsigned count)
{
    size_t at = l->wire.len;

    link_say(l, len, len);
    for (unsigned i = 0; i < count; i++, len -= size)
        assert_int_equal(content(l, &at), size);
    for (; len > 16384; len -= 16384)
        assert_int_equal(content(l, &at), 16384);
    assert_int_equal(content(l, &at), len);
    assert_int_equal(at, l->wire.len);
}

static void
begin(struct link *l, size_t size, unsigned count, uint64_t idle)
{
    static const uint16_t suites[] = { 0x1301, 0xc02b };

    test_env_stop_clock();
    link_init(l, true, version);
    link_key(l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_suites(l->config, suites, 2), FLOW_OK);
    assert_status(
        flow_tls_config_set_first_records(l->config, size, count, idle),
        FLOW_OK);
    link_open(l);
}

static void
first_records_are_small(void **state)
{
    struct link l;

    (void)state;
    for (version = 0x0303; version <= 0x0304; version++) {
        begin(&l, 1280, 5, 0);
        write_in(&l, 30000, 1280, 5);
        write_in(&l, 30000, 0, 0);
        test_env.now += 3600 * SECOND;
        write_in(&l, 30000, 0, 0);
        link_close(&l);
    }
}

static void
size_is_rounded_down(void **state)
{
    struct link l;

    (void)state;
    version = 0x0304;
    begin(&l, 1343, 255, 0);
    write_in(&l, 255 * 1280 + 20000, 1280, 255);
    link_close(&l);
    begin(&l, 16320, 1, 0);
    write_in(&l, 40000, 16320, 1);
    link_close(&l);
}

static void
none_are_small_by_default(void **state)
{
    struct link l;

    (void)state;
    version = 0x0304;
    begin(&l, 0, 0, 0);
    write_in(&l, 40000, 0, 0);
    link_close(&l);
}

static void
they_are_small_again_after_a_pause(void **state)
{
    struct link l;

    (void)state;
    for (version = 0x0303; version <= 0x0304; version++) {
        begin(&l, 512, 3, SECOND + 1); /* which is two seconds */
        write_in(&l, 20000, 512, 3);
        test_env.now += SECOND;
        write_in(&l, 20000, 0, 0);
        /* The pause counts from the last write, not from the first. */
        for (int i = 0; i < 5; i++) {
            test_env.now += 2 * SECOND;
            write_in(&l, 20000, 0, 0);
        }
        test_env.now += 3 * SECOND;
        write_in(&l, 20000, 512, 3);
        write_in(&l, 20000, 0, 0);
        /* Hearing is not writing. */
        test_env.now += 3 * SECOND;
        link_hear(&l, 100, 1);
        write_in(&l, 20000, 512, 3);
        link_close(&l);
    }
}

/* Small writes are small records anyway, and count. */
static void
a_lower_record_limit_is_kept(void **state)
{
    struct link l;
    size_t at;

    (void)state;
    version = 0x0304;
    begin(&l, 1280, 2, 0);
    assert_status(flow_control(l.ours, FLOW_CONTROL_RECORD_LIMIT, 100),
                  FLOW_OK);
    at = l.wire.len;
    link_say(&l, 300, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(content(&l, &at), 100);
    link_close(&l);
    begin(&l, 1280, 3, 0);
    link_say(&l, 10, 1);
    write_in(&l, 30000, 1280, 2);
    link_close(&l);
}

/* A key's limit counts small records as any. */
static void
keys_are_updated_among_small_records(void **state)
{
    struct flow_tls_info info;
    struct link l;

    (void)state;
    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_first_records(l.config, 512, 20, 0),
                  FLOW_OK);
    assert_status(flow_tls_config_set_key_limit(l.config, 4), FLOW_OK);
    link_open(&l);
    link_say(&l, 20 * 512, 1);
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_true(info.key_updates_sent >= 5);
    link_talk(&l);
    link_close(&l);
}

static void
settings_are_checked(void **state)
{
    static const struct {
        size_t size;
        unsigned count;
        uint64_t idle;
    } wrong[] = { { 511, 1, 0 },
                  { 16321, 1, 0 },
                  { 1280, 0, 0 },
                  { 1280, 256, 0 },
                  { 1280, 1, 3600 * SECOND + 1 },
                  { 1280, 1, UINT64_MAX } };
    struct link l;

    (void)state;
    version = 0x0304;
    begin(&l, 0, 1000, UINT64_MAX);
    assert_status(flow_tls_config_set_first_records(l.config, 0, 0, 0),
                  FLOW_E_BUSY);
    write_in(&l, 20000, 0, 0);
    link_close(&l);
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_status(flow_tls_config_set_first_records(l.config, wrong[i].size,
                                                        wrong[i].count,
                                                        wrong[i].idle),
                      FLOW_E_INVAL);
    link_open(&l);
    write_in(&l, 20000, 0, 0);
    link_close(&l);
}

/* What a peer that does not read makes us keep. */
static size_t
kept_with(unsigned records)
{
    static const uint8_t text[16 * 16384];
    struct link l;
    size_t held, len = sizeof(held), n;

    version = 0x0304;
    test_env_stop_clock();
    link_init(&l, true, version);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_write_records(l.config, records),
                  FLOW_OK);
    link_open(&l);
    while (flow_write(l.ours, text, sizeof(text), &n) == FLOW_OK)
        continue;
    assert_status(flow_query(l.ours, FLOW_QUERY_FOOTPRINT, &held, &len),
                  FLOW_OK);
    link_close(&l);
    return held;
}

static void
a_blocked_connection_keeps_what_one_write_gathers(void **state)
{
    struct flow_tls_config *c;

    (void)state;
    const size_t one = kept_with(1), usual = kept_with(0), most = kept_with(16);

    print_message("  %zu, %zu and %zu bytes\n", one, usual, most);
    assert_in_range(usual - one, 3 * 16384, 4 * 17000);
    assert_in_range(most - usual, 12 * 16384, 13 * 17000);
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_write_records(c, 17), FLOW_E_INVAL);
    assert_status(flow_tls_config_freeze(c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_write_records(c, 16), FLOW_E_BUSY);
    flow_tls_config_unref(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_records_are_small),
        TEST(size_is_rounded_down),
        TEST(none_are_small_by_default),
        TEST(they_are_small_again_after_a_pause),
        TEST(a_lower_record_limit_is_kept),
        TEST(keys_are_updated_among_small_records),
        TEST(settings_are_checked),
        TEST(a_blocked_connection_keeps_what_one_write_gathers),
    };

    return TEST_RUN(tests);
}
