/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evil.h"
#include "test.h"

/*
 * Messages of OpenSSL with a few bytes changed, by seed: the result is
 * definite, cheap, and reported to the peer once.  FLOW_TEST_SEED repeats one.
 */

#define ROUNDS      1000
#define WORK_MAX    64u /* reads of the lower flow, per handshake */
#define MESSAGE_MAX 4096

static struct evil evil;
static uint64_t seed;
static bool altered; /* the message differs from OpenSSL's */
static int target;   /* index of OpenSSL's message */

static size_t
below(uint64_t *state, size_t n)
{
    return (size_t)(test_random(state) % n);
}

/* Mostly values that occur in length fields: small numbers and their
 * neighbours. */
static uint8_t
interesting(uint64_t *state)
{
    static const uint8_t bytes[] = { 0, 1, 2, 3, 4, 0x7f, 0x80, 0xfe, 0xff };

    return bytes[below(state, sizeof(bytes))];
}

static void
mutate_once(struct evil_record *r, uint64_t *state)
{
    size_t at = below(state, r->len), n;

    switch (below(state, 7)) {
    case 0:
        r->content[at] ^= (uint8_t)(1u << below(state, 8));
        break;
    case 1:
        r->content[at] = (uint8_t)test_random(state);
        break;
    case 2:
        r->content[at] = interesting(state);
        break;
    case 3:
        r->content[at]++;
        break;
    case 4: /* delete some bytes */
        n = 1 + below(state, r->len - at);
        n = n > 32 ? 32 : n;
        memmove(r->content + at, r->content + at + n, r->len - at - n);
        r->len -= n;
        break;
    case 5: /* repeat some bytes */
        n = 1 + below(state, r->len - at);
        n = n > 64 ? 64 : n;
        memmove(r->content + at + n, r->content + at, r->len - at);
        r->len += n;
        break;
    default: /* truncate */
        r->len = at + 1;
        break;
    }
    if (r->len == 0)
        r->len = 1;
}

static void
mutate(struct evil *e, struct evil_record *r)
{
    static uint8_t before[MESSAGE_MAX];
    uint64_t state = seed;
    size_t times, len = r->len;

    if (r->type != 22 || e->step++ != target)
        return;
    assert_true(r->len < MESSAGE_MAX);
    memcpy(before, r->content, len);
    for (times = 1 + below(&state, 3); times > 0; times--)
        mutate_once(r, &state);
    /* Mostly with the message length corrected, so that the parser gets
     * further. */
    if (below(&state, 4) != 0 && r->len >= 4) {
        r->content[1] = 0;
        r->content[2] = (uint8_t)((r->len - 4) >> 8);
        r->content[3] = (uint8_t)(r->len - 4);
    }
    altered = r->len != len || memcmp(before, r->content, len) != 0;
}

/* Length of the whole records, and whether the last one is a fatal alert. */
static bool
wire_ends_in_alert(const struct evil *e, int alert)
{
    const uint8_t *p = e->loop.out;
    size_t off = 0, len = 0;

    while (off < e->loop.out_len) {
        assert_true(e->loop.out_len - off >= 5);
        len = 5 + (size_t)(p[off + 3] << 8 | p[off + 4]);
        assert_true(e->loop.out_len - off >= len);
        off += len;
    }
    /* An encrypted one has the length of an alert. */
    off -= len;
    return (len == 7 && p[off] == 21 && p[off + 5] == 2 &&
            p[off + 6] == alert) ||
           (len == 5 + 2 + 1 + 16 && p[off] == 23) ||
           (len == 5 + 8 + 2 + 16 && p[off] == 21);
}

static void
definite(struct evil *e)
{
    struct flow_error err;

    flow_get_error(e->ours, FLOW_READ, &err);
    /* If a message was changed in transit, the handshake does not complete. */
    if (e->status == FLOW_OK && !altered)
        return;
    if (e->status != FLOW_E_PROTO && e->status != FLOW_E_AUTH &&
        e->status != FLOW_E_TRUNCATED)
        fail_msg("seed %llu: %s, %s", (unsigned long long)seed,
                 flow_status_name(e->status), evil_text(e));
    assert_non_null(err.text);
    if (err.alert_sent >= 0 && !wire_ends_in_alert(e, err.alert_sent))
        fail_msg("seed %llu: no alert on the wire: %s",
                 (unsigned long long)seed, evil_text(e));
    /* The peer is told, unless it sent an alert itself or closed. */
    if (err.alert_sent < 0 && err.alert_received < 0 &&
        e->status != FLOW_E_TRUNCATED)
        fail_msg("seed %llu: no alert: %s", (unsigned long long)seed,
                 evil_text(e));
    /* internal_error would mean a fault of ours. */
    if (err.alert_sent == 80 || err.alert_sent == 41)
        fail_msg("seed %llu: %s", (unsigned long long)seed, evil_text(e));
}

static void
round_of(bool we_serve, int version, unsigned counts[256])
{
    struct flow_error err;
    char name[64];

    snprintf(name, sizeof(name), "seed %llu, %s, 0x%04x",
             (unsigned long long)seed, we_serve ? "server" : "client", version);
    guard_case(name);
    evil_init(&evil, we_serve, version);
    /* Both versions, so that more of the hello is used. */
    assert_status(
        flow_tls_config_set_versions(evil.config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
    altered = false;
    evil.edit = mutate;
    evil_start(&evil);
    evil_run(&evil);
    if (evil.status == FLOW_AGAIN) {
        evil.loop.in_ended = true;
        evil_run(&evil);
    }
    definite(&evil);
    assert_true(evil.loop.reads < WORK_MAX);
    assert_true(evil.loop.out_len < 16384);
    flow_get_error(evil.ours, FLOW_READ, &err);
    if (evil.status == FLOW_OK)
        counts[255]++;
    else
        counts[err.alert_sent >= 0 ? err.alert_sent : 254]++;
    evil_free(&evil);
}

/* others: mutate any message but the hello */
static void
rounds(bool we_serve, bool others)
{
    const char *one = getenv("FLOW_TEST_SEED");
    unsigned counts[256] = { 0 }, kinds = 0;
    unsigned times = others ? ROUNDS / 2 : ROUNDS, i;

    for (i = 0; i < (one != NULL ? 1 : times); i++) {
        seed = one != NULL ? strtoull(one, NULL, 0) : i + 1;
        /* A server of either version sends four messages after its hello, a
         * client at most two. */
        target = others ? 1 + (int)(seed / 2 % (we_serve ? 2 : 4)) : 0;
        round_of(we_serve, seed % 2 ? 0x0304 : 0x0303, counts);
    }
    for (i = 0; i < 256; i++) {
        if (counts[i] == 0)
            continue;
        kinds++;
        print_message("  %u times %s\n", counts[i],
                      i == 255   ? "no harm"
                      : i == 254 ? "an end of the peer"
                                 : flow_alert_name((int)i));
    }
    /* The mutations reach different kinds of failure. */
    assert_true(one != NULL || kinds >= 4);
}

static void
mutated_client_hellos_get_a_definite_answer(void **state)
{
    (void)state;
    rounds(true, false);
}

static void
mutated_server_hellos_get_a_definite_answer(void **state)
{
    (void)state;
    rounds(false, false);
}

static void
mutated_messages_of_clients_get_a_definite_answer(void **state)
{
    (void)state;
    rounds(true, true);
}

static void
mutated_messages_of_servers_get_a_definite_answer(void **state)
{
    (void)state;
    rounds(false, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mutated_client_hellos_get_a_definite_answer),
        TEST(mutated_server_hellos_get_a_definite_answer),
        TEST(mutated_messages_of_clients_get_a_definite_answer),
        TEST(mutated_messages_of_servers_get_a_definite_answer),
    };

    return TEST_RUN(tests);
}
