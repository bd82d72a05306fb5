/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "step.h"
#include "tap.h"

/*
 * The close matrix of docs/contract.md, section 12: every cell, with either
 * role acting, in both versions of TLS.
 */

enum action { ACT_SHUTDOWN, ACT_CLOSE, ACT_END, ACT_RESET };
enum moment { AT_IDLE, AT_RECORD, AT_HANDSHAKE, AT_UNREAD, AT_TAIL };

static const char *const action_name[] = { "shutdown", "close",
                                           "end of transport", "reset" };
static const char *const moment_name[] = { "idle", "record", "handshake",
                                           "unread", "tail" };

/* In the table: the side is closed; it opens as far as it can; its opening
 * failed, with the same status in both directions. */
#define GONE     ((enum flow_status)100)
#define NOT_HURT ((enum flow_status)101)
#define UNOPENED ((enum flow_status)103)
#define UNOPENED_SET                                                           \
    (STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_CLOSED) |                \
     STATUS_BIT(FLOW_E_RESET))
/* In the table: E_CLOSED or E_RESET. */
#define BROKEN ((enum flow_status)102)
#define OPEN   FLOW_AGAIN /* reading: no bytes and no end */
#define FINE   FLOW_OK    /* writing */

struct row {
    enum action action;
    enum moment moment;
    enum flow_status xr, xw, yr, yw;
    size_t x_data, y_data; /* bytes that must still be readable */
    unsigned cn_x, cn_y;   /* close_notify alerts sent by each side */
};

/* Sizes of the messages in transit; none has the size of an alert. */
#define RECORD 200u
#define UNREAD 300u

#define TRUNC FLOW_E_TRUNCATED
#define RESET FLOW_E_RESET
#define SHUT  FLOW_E_CLOSED

/* One side acts. */
static const struct row one[] = {
    { ACT_SHUTDOWN, AT_IDLE, OPEN, SHUT, FLOW_EOF, FINE, 0, 0, 1, 0 },
    { ACT_SHUTDOWN, AT_RECORD, OPEN, SHUT, FLOW_EOF, FINE, RECORD, RECORD, 1,
      0 },
    { ACT_SHUTDOWN, AT_HANDSHAKE, OPEN, SHUT, FLOW_EOF, FINE, 0, 0, 1, 0 },
    { ACT_SHUTDOWN, AT_UNREAD, OPEN, SHUT, FLOW_EOF, FINE, UNREAD - 1, 0, 1,
      0 },
    { ACT_SHUTDOWN, AT_TAIL, OPEN, SHUT, FLOW_EOF, FINE, 0, RECORD, 1, 0 },
    { ACT_CLOSE, AT_IDLE, GONE, GONE, TRUNC, BROKEN, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_RECORD, GONE, GONE, TRUNC, BROKEN, 0, RECORD, 0, 0 },
    { ACT_CLOSE, AT_HANDSHAKE, GONE, GONE, UNOPENED, UNOPENED, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_UNREAD, GONE, GONE, TRUNC, BROKEN, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_TAIL, GONE, GONE, TRUNC, BROKEN, 0, 0, 0, 0 },
    { ACT_END, AT_IDLE, TRUNC, FINE, OPEN, FINE, 0, 0, 0, 0 },
    { ACT_END, AT_RECORD, TRUNC, FINE, OPEN, FINE, 0, RECORD, 0, 0 },
    { ACT_END, AT_HANDSHAKE, TRUNC, TRUNC, NOT_HURT, NOT_HURT, 0, 0, 0, 0 },
    { ACT_END, AT_UNREAD, TRUNC, FINE, OPEN, FINE, UNREAD - 1, 0, 0, 0 },
    { ACT_END, AT_TAIL, TRUNC, FINE, OPEN, FINE, 0, RECORD, 0, 0 },
    { ACT_RESET, AT_IDLE, RESET, RESET, OPEN, FINE, 0, 0, 0, 0 },
    { ACT_RESET, AT_RECORD, RESET, RESET, OPEN, FINE, 0, RECORD, 0, 0 },
    { ACT_RESET, AT_HANDSHAKE, RESET, RESET, NOT_HURT, NOT_HURT, 0, 0, 0, 0 },
    { ACT_RESET, AT_UNREAD, RESET, RESET, OPEN, FINE, UNREAD - 1, 0, 0, 0 },
    { ACT_RESET, AT_TAIL, RESET, RESET, OPEN, FINE, 0, 0, 0, 0 },
};

/* Both sides act. */
static const struct row both[] = {
    { ACT_SHUTDOWN, AT_IDLE, FLOW_EOF, SHUT, FLOW_EOF, SHUT, 0, 0, 1, 1 },
    { ACT_SHUTDOWN, AT_RECORD, FLOW_EOF, SHUT, FLOW_EOF, SHUT, RECORD, RECORD,
      1, 1 },
    { ACT_SHUTDOWN, AT_HANDSHAKE, FLOW_EOF, SHUT, FLOW_EOF, SHUT, 0, 0, 1, 1 },
    { ACT_SHUTDOWN, AT_UNREAD, FLOW_EOF, SHUT, FLOW_EOF, SHUT, UNREAD - 1,
      UNREAD - 1, 1, 1 },
    { ACT_SHUTDOWN, AT_TAIL, FLOW_EOF, SHUT, FLOW_EOF, SHUT, RECORD, RECORD, 1,
      1 },
    { ACT_CLOSE, AT_IDLE, GONE, GONE, GONE, GONE, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_RECORD, GONE, GONE, GONE, GONE, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_HANDSHAKE, GONE, GONE, GONE, GONE, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_UNREAD, GONE, GONE, GONE, GONE, 0, 0, 0, 0 },
    { ACT_CLOSE, AT_TAIL, GONE, GONE, GONE, GONE, 0, 0, 0, 0 },
    { ACT_END, AT_IDLE, TRUNC, FINE, TRUNC, FINE, 0, 0, 0, 0 },
    { ACT_END, AT_RECORD, TRUNC, FINE, TRUNC, FINE, 0, 0, 0, 0 },
    { ACT_END, AT_HANDSHAKE, TRUNC, TRUNC, TRUNC, TRUNC, 0, 0, 0, 0 },
    { ACT_END, AT_UNREAD, TRUNC, FINE, TRUNC, FINE, UNREAD - 1, UNREAD - 1, 0,
      0 },
    { ACT_END, AT_TAIL, TRUNC, FINE, TRUNC, FINE, 0, 0, 0, 0 },
    { ACT_RESET, AT_IDLE, RESET, RESET, RESET, RESET, 0, 0, 0, 0 },
    { ACT_RESET, AT_RECORD, RESET, RESET, RESET, RESET, 0, 0, 0, 0 },
    { ACT_RESET, AT_HANDSHAKE, RESET, RESET, RESET, RESET, 0, 0, 0, 0 },
    { ACT_RESET, AT_UNREAD, RESET, RESET, RESET, RESET, UNREAD - 1, UNREAD - 1,
      0, 0 },
    { ACT_RESET, AT_TAIL, RESET, RESET, RESET, RESET, 0, 0, 0, 0 },
};

/* A connection, seen from the acting side. */
struct cell {
    struct ends e;
    struct tap *tap[2]; /* the taps below a and b */
    struct wire wire[2];
    unsigned x; /* the acting end: 0 is a, the client */
    bool both;
    uint32_t version;
};

static struct flow **
end_of(struct cell *c, unsigned side)
{
    return side == 0 ? &c->e.a : &c->e.b;
}

static void
make(struct cell *c)
{
    memset(c->wire, 0, sizeof(c->wire));
    memset(&c->e, 0, sizeof(c->e));
    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &c->e.a, &c->e.b),
                  FLOW_OK);
    c->e.a = tap_wrap(c->e.a, &c->wire[0], &c->tap[0]);
    c->e.b = tap_wrap(c->e.b, &c->wire[1], &c->tap[1]);
    if (c->version == FLOW_TLS_1_2)
        layer_tls12(&c->e);
    else
        layer_tls13(&c->e);
}

/* Write a message whose rest the wire may hold back. */
static void
say(struct cell *c, unsigned side, size_t len)
{
    struct flow *f = *end_of(c, side);
    uint8_t data[UNREAD];
    size_t n;

    test_fill(data, len, side);
    assert_status(flow_write(f, data, len, &n), FLOW_OK);
    assert_int_equal(n, len);
    (void)!flow_flush(f);
}

static void
half_a_record_each_way(struct cell *c)
{
    unsigned side;
    size_t n;

    for (side = 0; side < 2; side++) {
        say(c, side, RECORD);
        tap_gate(c->tap[1 - side], FLOW_READ, RECORD / 2);
    }
    for (side = 0; side < 2; side++)
        assert_status(flow_read(*end_of(c, side), NULL, 1, &n), FLOW_AGAIN);
}

static void
half_a_flight(struct cell *c)
{
    assert_status(flow_open(c->e.a), FLOW_AGAIN);
    assert_status(flow_open(c->e.b), FLOW_AGAIN);
    tap_gate(c->tap[0], FLOW_READ, 100);
    assert_status(flow_open(c->e.a), FLOW_AGAIN);
}

/* TLS itself has buffered the rest of it. */
static void
unread_input(struct cell *c, unsigned side)
{
    uint8_t byte;

    say(c, 1 - side, UNREAD);
    step_get(&c->e, *end_of(c, side), &byte, 1);
}

static void
refused_tail(struct cell *c, unsigned side)
{
    tap_gate(c->tap[side], FLOW_WRITE, 50);
    say(c, side, RECORD);
    assert_status(flow_flush(*end_of(c, side)), FLOW_AGAIN);
}

static void
reach(struct cell *c, enum moment moment)
{
    unsigned side;

    if (moment == AT_HANDSHAKE) {
        half_a_flight(c);
        return;
    }
    step_open(&c->e);
    step_pass(&c->e, c->e.a, 100, 1);
    step_pass(&c->e, c->e.b, 100, 2);
    if (moment == AT_RECORD)
        half_a_record_each_way(c);
    for (side = 0; side < 2; side++) {
        if (side != c->x && !c->both)
            continue;
        if (moment == AT_UNREAD)
            unread_input(c, side);
        if (moment == AT_TAIL)
            refused_tail(c, side);
    }
}

static void
act(struct cell *c, unsigned side, enum action action)
{
    struct flow **f = end_of(c, side);
    struct tap *t = c->tap[side];

    switch (action) {
    case ACT_SHUTDOWN:
        assert_status_in(flow_shutdown(*f, FLOW_WRITE),
                         STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        break;
    case ACT_CLOSE:
        flow_close(*f);
        *f = NULL;
        c->tap[side] = NULL;
        break;
    case ACT_END:
        tap_cut(t, FLOW_READ, 0, FLOW_EOF);
        break;
    case ACT_RESET:
        tap_cut(t, FLOW_READ, 0, FLOW_E_RESET);
        tap_cut(t, FLOW_WRITE, 0, FLOW_E_RESET);
        break;
    }
}

/* The bytes that the transport held back continue, unless they were cut. */
static void
release(struct cell *c)
{
    unsigned side;

    for (side = 0; side < 2; side++) {
        struct tap *t = c->tap[side];

        if (t != NULL && t->beyond[0] == FLOW_AGAIN)
            tap_gate(t, FLOW_READ, TAP_OPEN);
        if (t != NULL && t->beyond[1] == FLOW_AGAIN)
            tap_gate(t, FLOW_WRITE, TAP_OPEN);
    }
}

/* Drive the pending operation to its end. */
static void
settle(struct cell *c, const struct row *r)
{
    int i;

    for (i = 0; i < 2; i++) {
        unsigned side = i == 0 ? c->x : 1 - c->x;

        if (*end_of(c, side) == NULL)
            continue;
        if (r->action == ACT_SHUTDOWN && (side == c->x || c->both))
            step_shutdown(&c->e, *end_of(c, side));
    }
    for (i = 0; i < 100; i++) {
        if (c->e.a != NULL && flow_open(c->e.a) == FLOW_OK)
            (void)!flow_flush(c->e.a);
        if (c->e.b != NULL && flow_open(c->e.b) == FLOW_OK)
            (void)!flow_flush(c->e.b);
    }
}

/* Read before either side writes more. */
static void
check_read(struct cell *c, unsigned side, enum flow_status r, size_t data)
{
    struct flow *f = *end_of(c, side);
    size_t n;

    if (r == GONE) {
        assert_null(f);
        return;
    }
    if (r == NOT_HURT) {
        assert_status_in(flow_open(f),
                         STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        return;
    }
    if (r == UNOPENED) {
        assert_status_in(step_drain(&c->e, f, &n), UNOPENED_SET);
        return;
    }
    assert_status(step_drain(&c->e, f, &n), r);
    assert_int_equal(n, data);
    if (r == FLOW_EOF)
        assert_int_equal(step_query(f, FLOW_QUERY_END_READ),
                         FLOW_END_AUTHENTICATED);
}

static void
check_write(struct cell *c, unsigned side, enum flow_status w)
{
    static const uint8_t probe[100];
    struct flow *f = *end_of(c, side);
    enum flow_status st;
    size_t n;

    if (w == GONE || w == NOT_HURT)
        return;
    /* A write reports a failure below at once or with the next call. */
    st = flow_write(f, probe, sizeof(probe), &n);
    if (st == FLOW_OK && w != FINE)
        st = step_break(&c->e, f);
    if (w == BROKEN)
        assert_status_in(st,
                         STATUS_BIT(FLOW_E_CLOSED) | STATUS_BIT(FLOW_E_RESET));
    else if (w == UNOPENED)
        assert_status(st, flow_open(f));
    else
        assert_status(st, w);
}

static void
check_cell(const struct row *r, unsigned x, bool both_act, uint32_t version)
{
    struct cell c = { .x = x, .both = both_act, .version = version };
    char name[120];

    snprintf(name, sizeof(name), "%s, %s, %s acts, %s", action_name[r->action],
             moment_name[r->moment],
             both_act ? "both"
             : x == 0 ? "client"
                      : "server",
             version == FLOW_TLS_1_2 ? "1.2" : "1.3");
    guard_case(name);
    make(&c);
    reach(&c, r->moment);
    act(&c, x, r->action);
    if (both_act)
        act(&c, 1 - x, r->action);
    release(&c);
    settle(&c, r);
    check_read(&c, x, r->xr, r->x_data);
    check_read(&c, 1 - x, r->yr, r->y_data);
    check_write(&c, x, r->xw);
    check_write(&c, 1 - x, r->yw);
    assert_int_equal(wire_close_notifies(&c.wire[x], 0, version), r->cn_x);
    assert_int_equal(wire_close_notifies(&c.wire[1 - x], 0, version), r->cn_y);
    ends_close(&c.e);
    /* Closing does not send one either. */
    assert_int_equal(wire_close_notifies(&c.wire[x], 0, version), r->cn_x);
    assert_int_equal(wire_close_notifies(&c.wire[1 - x], 0, version), r->cn_y);
    assert_int_equal(c.wire[0].closes, 1);
    assert_int_equal(c.wire[1].closes, 1);
    wire_free(&c.wire[0]);
    wire_free(&c.wire[1]);
    guard_case(NULL);
}

static void
check_action(enum action action)
{
    static const uint32_t versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };
    size_t i, v;

    for (v = 0; v < 2; v++)
        for (i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
            if (one[i].action == action) {
                check_cell(&one[i], 0, false, versions[v]);
                check_cell(&one[i], 1, false, versions[v]);
            }
            if (both[i].action == action) {
                check_cell(&both[i], 0, true, versions[v]);
                check_cell(&both[i], 1, true, versions[v]);
            }
        }
}

static void
shutdown_follows_the_close_matrix(void **state)
{
    (void)state;
    check_action(ACT_SHUTDOWN);
}

static void
close_follows_the_close_matrix(void **state)
{
    (void)state;
    check_action(ACT_CLOSE);
}

static void
end_of_transport_follows_the_close_matrix(void **state)
{
    (void)state;
    check_action(ACT_END);
}

static void
reset_follows_the_close_matrix(void **state)
{
    (void)state;
    check_action(ACT_RESET);
}

/* The first write of the marker is refused, and it leaves byte by byte: still
 * one marker. */
static void
refused_close_notify_is_sent_once(void **state)
{
    unsigned side, v, steps;

    (void)state;
    for (v = 0; v < 2; v++)
        for (side = 0; side < 2; side++) {
            struct cell c = { .x = side,
                              .version = v ? FLOW_TLS_1_3 : FLOW_TLS_1_2 };
            struct flow *f;

            make(&c);
            reach(&c, AT_IDLE);
            f = *end_of(&c, side);
            tap_gate(c.tap[side], FLOW_WRITE, 0);
            for (steps = 0; flow_shutdown(f, FLOW_WRITE) == FLOW_AGAIN; steps++)
                tap_gate(c.tap[side], FLOW_WRITE, 1);
            assert_in_range(steps, 24, 31);
            tap_gate(c.tap[side], FLOW_WRITE, TAP_OPEN);
            check_read(&c, 1 - side, FLOW_EOF, 0);
            assert_int_equal(wire_close_notifies(&c.wire[side], 0, c.version),
                             1);
            ends_close(&c.e);
            assert_int_equal(wire_close_notifies(&c.wire[side], 0, c.version),
                             1);
            wire_free(&c.wire[0]);
            wire_free(&c.wire[1]);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shutdown_follows_the_close_matrix),
        TEST(close_follows_the_close_matrix),
        TEST(end_of_transport_follows_the_close_matrix),
        TEST(reset_follows_the_close_matrix),
        TEST(refused_close_notify_is_sent_once),
    };

    return TEST_RUN(tests);
}
