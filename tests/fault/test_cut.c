/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/fault.h>
#include <flow/pair.h>
#include <flow/tls.h>

#include "session.h"
#include "tap.h"

/*
 * A whole session, cut after every byte in either direction: no loss is
 * unreported, and nothing hangs.  The same with faults in every call.
 */

enum stack_kind { PLAIN, TLS_1_2, TLS_1_3 };

static void
make(struct session *s, enum stack_kind kind, struct tap *tap[2],
     struct wire wire[2])
{
    memset(&s->e, 0, sizeof(s->e));
    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &s->e.a, &s->e.b),
                  FLOW_OK);
    s->e.a = tap_wrap(s->e.a, wire == NULL ? NULL : &wire[0], &tap[0]);
    s->e.b = tap_wrap(s->e.b, wire == NULL ? NULL : &wire[1], &tap[1]);
#ifdef TEST_TLS
    if (kind == TLS_1_2)
        layer_tls12(&s->e);
    if (kind == TLS_1_3)
        layer_tls13(&s->e);
#else
    assert_int_equal(kind, PLAIN);
#endif
}

/* Bytes in each direction of a session without faults. */
static void
measure(enum stack_kind kind, size_t ret[2])
{
    struct wire wire[2] = { { 0 }, { 0 } };
    struct tap *tap[2];
    struct session s;

    make(&s, kind, tap, wire);
    session_run(&s);
    session_check_complete(&s);
    ret[0] = wire[0].len;
    ret[1] = wire[1].len;
    wire_free(&wire[0]);
    wire_free(&wire[1]);
}

/*
 * Cut the bytes to one side after this many.  The cut is in the transport:
 * without TLS only the transport's end can be reported.
 */
static void
cut(enum stack_kind kind, unsigned side, size_t at, enum flow_status how)
{
    struct wire wire[2] = { { 0 }, { 0 } };
    struct tap *tap[2];
    struct session s;
    char name[100];
    size_t whole;

    snprintf(name, sizeof(name), "side %u, byte %zu, %s", side, at,
             flow_status_name(how));
    guard_case(name);
    make(&s, kind, tap, wire);
    tap_cut(tap[side], FLOW_READ, at, how);
    session_run(&s);
    whole = wire[1 - side].len;
    wire_free(&wire[0]);
    wire_free(&wire[1]);
    if (kind == PLAIN && how == FLOW_EOF) {
        assert_status(s.side[side].read, FLOW_EOF);
        assert_int_equal(s.side[side].got, at);
        return;
    }
    session_check_sound(&s);
    /* Sessions differ in length: a signature is sometimes one byte shorter, and
     * padding turns that into sixteen. */
    if (at < whole)
        assert_int_not_equal(s.side[side].read, FLOW_EOF);
}

static void
sweep(enum stack_kind kind, unsigned side)
{
    size_t len[2], at;

    measure(kind, len);
    for (at = 0; at < len[1 - side]; at++)
        cut(kind, side, at, at % 2 ? FLOW_E_RESET : FLOW_EOF);
    guard_case(NULL);
}

static void
cut_at_every_byte_is_noticed_without_tls(void **state)
{
    (void)state;
    sweep(PLAIN, 0);
    sweep(PLAIN, 1);
}

#ifdef TEST_TLS
static void
cut_at_every_byte_is_noticed_by_a_tls12_client(void **state)
{
    (void)state;
    sweep(TLS_1_2, 0);
}

static void
cut_at_every_byte_is_noticed_by_a_tls12_server(void **state)
{
    (void)state;
    sweep(TLS_1_2, 1);
}

static void
cut_at_every_byte_is_noticed_by_a_tls13_client(void **state)
{
    (void)state;
    sweep(TLS_1_3, 0);
}

static void
cut_at_every_byte_is_noticed_by_a_tls13_server(void **state)
{
    (void)state;
    sweep(TLS_1_3, 1);
}
#endif

/* Faults that lose no bytes: the session still completes. */
static void
hold_up(enum stack_kind kind, const struct flow_fault_plan *plan)
{
    struct flow_fault_plan other = *plan;
    struct session s;

    memset(&s.e, 0, sizeof(s.e));
    other.seed += 1000;
    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &s.e.a, &s.e.b), FLOW_OK);
    assert_status(flow_fault_wrap(s.e.a, plan, &s.e.a), FLOW_OK);
    assert_status(flow_fault_wrap(s.e.b, &other, &s.e.b), FLOW_OK);
#ifdef TEST_TLS
    if (kind == TLS_1_2)
        layer_tls12(&s.e);
    if (kind == TLS_1_3)
        layer_tls13(&s.e);
#else
    (void)kind;
#endif
    session_run(&s);
    session_check_complete(&s);
}

static void
session_completes_under_faults_that_lose_no_bytes(void **state)
{
    struct flow_fault_plan plan;
    uint64_t seed;
    int kind;

    (void)state;
    for (kind = PLAIN; kind <=
#ifdef TEST_TLS
                       TLS_1_3;
#else
                       PLAIN;
#endif
         kind++) {
        flow_fault_plan_init(&plan);
        plan.again_always = true;
        guard_case("would block at every call");
        hold_up((enum stack_kind)kind, &plan);
        plan.max_read = plan.max_write = 1;
        guard_case("one byte at a time, would block at every call");
        hold_up((enum stack_kind)kind, &plan);
        for (seed = 1; seed <= 40; seed++) {
            flow_fault_plan_init(&plan);
            plan.seed = seed;
            plan.again_percent = (uint32_t)(seed * 7 % 90);
            plan.max_read = 1 + seed * 13 % 300;
            plan.max_write = 1 + seed * 29 % 300;
            plan.random_short = seed % 2 == 0;
            guard_case("seeded");
            hold_up((enum stack_kind)kind, &plan);
        }
    }
    guard_case(NULL);
}

static void
injected_delays_are_waited_for(void **state)
{
    struct flow_fault_plan plan;
    int kind;

    (void)state;
    /* The clock advances only when a flow waits for it. */
    test_env_stop_clock();
    for (kind = PLAIN; kind <=
#ifdef TEST_TLS
                       TLS_1_3;
#else
                       PLAIN;
#endif
         kind++) {
        flow_fault_plan_init(&plan);
        plan.delay = UINT64_C(50000000);
        hold_up((enum stack_kind)kind, &plan);
    }
}

#ifdef TEST_TLS
/* If one bit of one byte is flipped, the session notices it. */
static void
every_flipped_bit_is_noticed(void **state)
{
    struct flow_fault_plan plan;
    size_t len[2], at;
    struct session s;
    int kind;

    (void)state;
    for (kind = TLS_1_2; kind <= TLS_1_3; kind++) {
        measure((enum stack_kind)kind, len);
        /* The records of the data come last. */
        for (at = len[0] - 700; at < len[0] - 40; at += 3) {
            char name[60];

            snprintf(name, sizeof(name), "bit of byte %zu", at);
            guard_case(name);
            memset(&s.e, 0, sizeof(s.e));
            assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &s.e.a, &s.e.b),
                          FLOW_OK);
            flow_fault_plan_init(&plan);
            plan.flip_read = at;
            assert_status(flow_fault_wrap(s.e.b, &plan, &s.e.b), FLOW_OK);
            if (kind == TLS_1_2)
                layer_tls12(&s.e);
            else
                layer_tls13(&s.e);
            session_run(&s);
            session_check_sound(&s);
            assert_int_not_equal(s.side[1].read, FLOW_EOF);
        }
    }
    guard_case(NULL);
}
#endif

struct group {
    const char *name;
    struct CMUnitTest test[2];
};

/* Each process runs one part, so that they can run in parallel. */
int
main(int argc, char **argv)
{
    const struct group groups[] = {
        { "plain",
          { TEST(cut_at_every_byte_is_noticed_without_tls),
            TEST(injected_delays_are_waited_for) } },
        { "faults",
          { TEST(session_completes_under_faults_that_lose_no_bytes) } },
#ifdef TEST_TLS
        { "tls12_client",
          { TEST(cut_at_every_byte_is_noticed_by_a_tls12_client) } },
        { "tls12_server",
          { TEST(cut_at_every_byte_is_noticed_by_a_tls12_server) } },
        { "tls13_client",
          { TEST(cut_at_every_byte_is_noticed_by_a_tls13_client) } },
        { "tls13_server",
          { TEST(cut_at_every_byte_is_noticed_by_a_tls13_server) } },
        { "flip", { TEST(every_flipped_bit_is_noticed) } },
#endif
    };
    int failed = 0, found = 0;
    size_t i;

    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        const struct group *g = &groups[i];
        size_t count = g->test[1].test_func == NULL ? 1 : 2;

        if (argc > 1 && strcmp(argv[1], g->name) != 0)
            continue;
        found++;
        failed += _cmocka_run_group_tests(g->name, g->test, count,
                                          guard_process, NULL);
    }
    return found == 0 || failed != 0;
}
