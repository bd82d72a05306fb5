/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/order_names.h"
#include "tests/unit/tls/order_walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TLS12        0x0303
#define TLS13        0x0304

/* The invariants of the tables, for each row and state. */

static size_t
count_rows(void)
{
    size_t n = 0;

    while (flow__order_row(n) != NULL)
        n++;
    return n;
}

static const struct flow__order_facts *
facts_of(enum flow__order_state state)
{
    return flow__order_facts(state);
}

static void
rows_fit_the_turn_and_the_version(void **state)
{
    const struct flow__order_row *row;

    (void)state;
    for (size_t i = 0; (row = flow__order_row(i)) != NULL; i++) {
        const struct flow__order_facts *from = facts_of(row->from);
        const struct flow__order_facts *to = facts_of(row->to);

        assert_int_not_equal(from->turn,
                             row->ours ? FLOW__TURN_PEER : FLOW__TURN_OURS);
        /* The version does not change any more, nor does protection end. */
        if (from->version != 0)
            assert_int_equal(to->version, from->version);
        assert_true(to->rx >= from->rx);
        assert_true(to->tx >= from->tx);
        /* A message changes only the keys of its own direction, except for the
         * ServerHello of TLS 1.3, which starts both, and a last Finished. */
        if (from->version == TLS12 && row->kind != FLOW__KIND_FINISHED)
            assert_true(row->ours ? to->rx == from->rx : to->tx == from->tx);
        if (to->turn == FLOW__TURN_EITHER) {
            assert_int_equal(to->rx, FLOW__LEVEL_DATA);
            assert_int_equal(to->tx, FLOW__LEVEL_DATA);
        }
    }
}

static void
a_last_message_changes_the_turn_or_the_key(void **state)
{
    const struct flow__order_row *row;

    (void)state;
    for (size_t i = 0; (row = flow__order_row(i)) != NULL; i++) {
        const struct flow__order_facts *from = facts_of(row->from);
        const struct flow__order_facts *to = facts_of(row->to);
        bool last =
            !row->ours && (to->turn != from->turn || to->rx != from->rx ||
                           row->kind == FLOW__KIND_KEY_UPDATE);

        assert_int_equal((row->flags & FLOW__ROW_LAST) != 0, last);
    }
}

static void
messages_of_the_peer_have_a_check(void **state)
{
    const struct flow__order_row *row;

    (void)state;
    for (size_t i = 0; (row = flow__order_row(i)) != NULL; i++) {
        bool refused = row->refused != NULL;
        /* The message is not passed on: a warning answers it. */
        bool unread = row->kind == FLOW__KIND_CLIENT_HELLO &&
                      (row->flags & FLOW__ROW_NO_RENEGOTIATION) != 0;

        assert_int_equal(row->check != NULL,
                         !row->ours && !refused && !unread &&
                             row->kind != FLOW__KIND_CHANGE_CIPHER_SPEC);
        if (refused) {
            assert_int_not_equal(row->refused->alert, FLOW__ALERT_NONE);
            assert_non_null(row->refused->text);
        }
        if (refused || (row->flags & FLOW__ROW_IGNORED) != 0)
            assert_int_equal(row->from, row->to);
    }
}

static void
a_message_has_one_row(void **state)
{
    const struct flow__order_row *a;
    const struct flow__order_row *b;

    (void)state;
    for (size_t i = 0; (a = flow__order_row(i)) != NULL; i++)
        for (size_t k = 0; k < i; k++) {
            b = flow__order_row(k);
            assert_false(a->from == b->from && a->ours == b->ours &&
                         a->kind == b->kind);
        }
}

static void
states_say_what_is_read_over(void **state)
{
    (void)state;
    for (int i = 0; i < FLOW__STATE_COUNT; i++) {
        const struct flow__order_facts *f = facts_of((enum flow__order_state)i);
        const char *name = order_state_name((enum flow__order_state)i);
        bool server = i >= FLOW__STATE_S_CH;

        assert_non_null(name);
        assert_int_equal(name[0], server ? 'S' : 'C');
        assert_int_equal(strstr(name, "12_") != NULL, f->version == TLS12);
        assert_int_equal(strstr(name, "13_") != NULL, f->version == TLS13);
        assert_int_equal(strstr(name, "SEND_") != NULL ||
                             i == FLOW__STATE_C_START,
                         f->turn == FLOW__TURN_OURS);
        assert_int_equal(strstr(name, "OPEN") != NULL,
                         f->turn == FLOW__TURN_EITHER);
        /* Only the peer's messages are ignored, and never in TLS 1.2. */
        if (f->turn != FLOW__TURN_PEER || f->version == TLS12) {
            assert_false(f->drops_ccs);
            assert_int_equal(f->skip, FLOW__SKIP_NONE);
        }
        if (f->turn == FLOW__TURN_PEER && f->version == TLS13)
            assert_true(f->drops_ccs);
        if (!server)
            assert_int_equal(f->skip, FLOW__SKIP_NONE);
        if (f->skip == FLOW__SKIP_UNOPENED)
            assert_int_equal(f->rx, FLOW__LEVEL_HANDSHAKE);
        if (f->version == TLS12) {
            assert_int_not_equal(f->rx, FLOW__LEVEL_HANDSHAKE);
            assert_int_not_equal(f->tx, FLOW__LEVEL_HANDSHAKE);
        }
    }
}

/* Every kind at every state, both roles and versions, both directions. */
static void
what_has_no_row_is_refused(void **state)
{
    unsigned states = 0;
    unsigned asked = 0;
    unsigned legal = 0;
    unsigned denied = 0;

    (void)state;
    for (int i = 0; i < FLOW__STATE_COUNT; i++, states++)
        for (int k = 0; k < FLOW__KIND_COUNT; k++)
            for (int ours = 0; ours < 2; ours++)
                for (int level = 0; level < 3; level++) {
                    struct flow__order at = { (enum flow__order_state)i,
                                              false };
                    const struct flow__order_facts *f = facts_of(at.state);
                    const struct flow__order_row *row = NULL;
                    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
                    enum flow_status st =
                        flow__order_find(&at, ours != 0, (enum flow__kind)k,
                                         (enum flow__level)level, &row, &fault);

                    asked++;
                    if (st == FLOW_OK) {
                        assert_int_equal(level, ours ? f->tx : f->rx);
                        assert_int_equal(row->from, i);
                        assert_int_equal(row->kind, k);
                        legal++;
                        continue;
                    }
                    assert_null(row);
                    assert_non_null(fault.text);
                    assert_int_equal(st, ours ? FLOW_E_SYS : FLOW_E_PROTO);
                    if (fault.alert == FLOW__ALERT_UNEXPECTED_MESSAGE ||
                        (ours && fault.alert == FLOW__ALERT_INTERNAL_ERROR))
                        continue;
                    denied++;
                }
    print_message("%u states x %d kinds x 2 directions x 3 levels = %u: "
                  "%u legal, %u with an alert of their own\n",
                  states, FLOW__KIND_COUNT, asked, legal, denied);
    assert_int_equal(states * FLOW__KIND_COUNT * 6, asked);
    /* Four rows for TLS 1.2 after a HelloRetryRequest, three for empty
     * lists. */
    assert_int_equal(denied, 7);
    /* Three rows are for a ticket that was promised. */
    assert_int_equal(legal + denied + 3, count_rows());
}

/*
 * Whole handshakes, from the figures of the RFCs.  ">" is sent by the client,
 * "<" by the server.  Played in both roles.
 */

#define K(name) FLOW__KIND_##name
#define C       0x100
#define S       0x200

struct trace {
    const char *name;
    int step[32]; /* C or S, then a kind; 0 ends the list */
};

#define SHORT12 C | K(CHANGE_CIPHER_SPEC), C | K(FINISHED)
#define CLOSE12 S | K(CHANGE_CIPHER_SPEC), S | K(FINISHED)

static const struct trace traces[] = {
    { "RFC 8446 figure 1, without a client certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO13), S | K(ENCRYPTED_EXTENSIONS),
        S | K(CERTIFICATE), S | K(CERTIFICATE_VERIFY), S | K(FINISHED),
        C | K(FINISHED), S | K(NEW_SESSION_TICKET), S | K(NEW_SESSION_TICKET),
        C | K(KEY_UPDATE), S | K(KEY_UPDATE) } },
    { "RFC 8446 figure 1, with a client certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO13), S | K(ENCRYPTED_EXTENSIONS),
        S | K(CERTIFICATE_REQUEST), S | K(CERTIFICATE),
        S | K(CERTIFICATE_VERIFY), S | K(FINISHED), C | K(CERTIFICATE),
        C | K(CERTIFICATE_VERIFY), C | K(FINISHED) } },
    { "RFC 8446 figure 1, the client has no certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO13), S | K(ENCRYPTED_EXTENSIONS),
        S | K(CERTIFICATE_REQUEST), S | K(CERTIFICATE),
        S | K(CERTIFICATE_VERIFY), S | K(FINISHED), C | K(CERTIFICATE_EMPTY),
        C | K(FINISHED) } },
    { "RFC 8446 figure 2, HelloRetryRequest",
      { C | K(CLIENT_HELLO), S | K(HELLO_RETRY_REQUEST), C | K(CLIENT_HELLO),
        S | K(SERVER_HELLO13), S | K(ENCRYPTED_EXTENSIONS), S | K(CERTIFICATE),
        S | K(CERTIFICATE_VERIFY), S | K(FINISHED), C | K(FINISHED) } },
    { "RFC 8446 figure 3, PSK",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO13_PSK),
        S | K(ENCRYPTED_EXTENSIONS), S | K(FINISHED), C | K(FINISHED) } },
    { "PSK after a HelloRetryRequest",
      { C | K(CLIENT_HELLO), S | K(HELLO_RETRY_REQUEST), C | K(CLIENT_HELLO),
        S | K(SERVER_HELLO13_PSK), S | K(ENCRYPTED_EXTENSIONS), S | K(FINISHED),
        C | K(FINISHED) } },
    { "RFC 5246 figure 1, without a client certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12), S | K(CERTIFICATE),
        S | K(SERVER_KEY_EXCHANGE), S | K(SERVER_HELLO_DONE),
        C | K(CLIENT_KEY_EXCHANGE), SHORT12, CLOSE12 } },
    { "RFC 5246 figure 1, with a client certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12), S | K(CERTIFICATE),
        S | K(SERVER_KEY_EXCHANGE), S | K(CERTIFICATE_REQUEST),
        S | K(SERVER_HELLO_DONE), C | K(CERTIFICATE),
        C | K(CLIENT_KEY_EXCHANGE), C | K(CERTIFICATE_VERIFY), SHORT12,
        CLOSE12 } },
    { "RFC 5246 figure 1, the client has no certificate",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12), S | K(CERTIFICATE),
        S | K(SERVER_KEY_EXCHANGE), S | K(CERTIFICATE_REQUEST),
        S | K(SERVER_HELLO_DONE), C | K(CERTIFICATE_EMPTY),
        C | K(CLIENT_KEY_EXCHANGE), SHORT12, CLOSE12 } },
    { "RFC 5246 figure 2, resumed",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12_RESUMED), CLOSE12,
        SHORT12 } },
    { "RFC 5077 figure 1, a ticket",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12_TICKET), S | K(CERTIFICATE),
        S | K(SERVER_KEY_EXCHANGE), S | K(SERVER_HELLO_DONE),
        C | K(CLIENT_KEY_EXCHANGE), SHORT12, S | K(NEW_SESSION_TICKET),
        CLOSE12 } },
    { "RFC 5077 figure 2, resumed with a new ticket",
      { C | K(CLIENT_HELLO), S | K(SERVER_HELLO12_RESUMED_TICKET),
        S | K(NEW_SESSION_TICKET), CLOSE12, SHORT12 } },
};

/* false: a step is refused. */
static bool
play(const int *step, bool server, struct flow__order *at)
{
    flow__order_init(at, server);
    for (; *step != 0; step++) {
        bool ours = (*step & S) != 0 ? server : !server;
        enum flow__kind kind = (enum flow__kind)(*step & 0xff);
        struct flow__order next;
        struct order_verdict v = order_of_table(at, ours, kind, &next);

        if (!v.legal)
            return false;
        *at = next;
    }
    return true;
}

static void
handshakes_of_the_rfcs_pass(void **state)
{
    struct flow__order at;

    (void)state;
    for (size_t i = 0; i < COUNT(traces); i++)
        for (int server = 0; server < 2; server++) {
            if (!play(traces[i].step, server != 0, &at))
                fail_msg("%s stops at %s", traces[i].name,
                         order_state_name(at.state));
            if (!flow__order_is_open(&at))
                fail_msg("%s ends at %s", traces[i].name,
                         order_state_name(at.state));
        }
}

/* If one of its messages is left out, no handshake of the figures completes,
 * unless the rest is another valid handshake. */
static void
a_message_left_out_is_noticed(void **state)
{
    int step[32];
    struct flow__order at;
    unsigned tried = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(traces); i++)
        for (size_t gap = 0; traces[i].step[gap] != 0; gap++)
            for (int server = 0; server < 2; server++) {
                enum flow__kind kind =
                    (enum flow__kind)(traces[i].step[gap] & 0xff);
                size_t n = 0;

                /* Messages after the handshake are optional. */
                if (kind == FLOW__KIND_KEY_UPDATE ||
                    (kind == FLOW__KIND_NEW_SESSION_TICKET &&
                     traces[i].step[1] == (S | K(SERVER_HELLO13))))
                    continue;
                memset(step, 0, sizeof(step));
                for (size_t k = 0; traces[i].step[k] != 0; k++)
                    if (k != gap)
                        step[n++] = traces[i].step[k];
                tried++;
                if (play(step, server != 0, &at) && flow__order_is_open(&at))
                    fail_msg("%s passes without %s", traces[i].name,
                             order_kind_name(kind));
            }
    assert_true(tried > 200);
}

static void
hello_requests_are_ignored_by_a_client_that_negotiates(void **state)
{
    const struct flow__order_row *row;
    struct flow__fault fault;

    (void)state;
    for (int i = 0; i < FLOW__STATE_COUNT; i++) {
        struct flow__order at = { (enum flow__order_state)i, false };
        const struct flow__order_facts *f = facts_of(at.state);
        bool client12 = i == FLOW__STATE_C_SH ||
                        (i < FLOW__STATE_S_CH && f->version == TLS12);
        enum flow_status st = flow__order_find(
            &at, false, FLOW__KIND_HELLO_REQUEST, f->rx, &row, &fault);

        if (!client12 || f->turn == FLOW__TURN_OURS) {
            assert_int_equal(st, FLOW_E_PROTO);
            assert_int_equal(fault.alert, FLOW__ALERT_UNEXPECTED_MESSAGE);
            continue;
        }
        assert_int_equal(st, FLOW_OK);
        assert_int_equal(row->to, row->from);
        assert_int_equal(row->flags, f->turn == FLOW__TURN_EITHER
                                         ? FLOW__ROW_NO_RENEGOTIATION
                                         : FLOW__ROW_IGNORED);
    }
}

static void
a_ticket_comes_if_it_was_promised(void **state)
{
    static const int without[] = { C | K(CLIENT_HELLO),
                                   S | K(SERVER_HELLO12_TICKET),
                                   S | K(CERTIFICATE),
                                   S | K(SERVER_KEY_EXCHANGE),
                                   S | K(SERVER_HELLO_DONE),
                                   C | K(CLIENT_KEY_EXCHANGE),
                                   SHORT12,
                                   S | K(CHANGE_CIPHER_SPEC),
                                   0 };
    static const int unasked[] = { C | K(CLIENT_HELLO),
                                   S | K(SERVER_HELLO12),
                                   S | K(CERTIFICATE),
                                   S | K(SERVER_KEY_EXCHANGE),
                                   S | K(SERVER_HELLO_DONE),
                                   C | K(CLIENT_KEY_EXCHANGE),
                                   SHORT12,
                                   S | K(NEW_SESSION_TICKET),
                                   0 };
    /* RFC 5077 3.4: a server resumes without a session id. */
    static const int silent[] = { C | K(CLIENT_HELLO),
                                  S | K(SERVER_HELLO12_TICKET),
                                  S | K(NEW_SESSION_TICKET),
                                  CLOSE12,
                                  SHORT12,
                                  0 };
    struct flow__order at;

    (void)state;
    for (int server = 0; server < 2; server++) {
        assert_false(play(without, server != 0, &at));
        assert_false(play(unasked, server != 0, &at));
    }
    assert_true(play(silent, true, &at));
    assert_true(flow__order_is_open(&at));
}

/*
 * The walk itself is tested: it finds no difference between the table and
 * itself as the model, and finds each row that is removed, added or changed.
 */

static struct {
    const struct flow__order_row *gone;
    const struct flow__order_row *bent;
    enum flow__order_state extra_state;
    enum flow__kind extra_kind;
    bool extra_ours;
    bool has_extra;
} change;

static unsigned
table_start(bool server)
{
    struct flow__order at;

    flow__order_init(&at, server);
    return 2 * (unsigned)at.state;
}

static struct order_verdict
table_take(unsigned model, bool ours, enum flow__kind kind)
{
    struct flow__order at = { (enum flow__order_state)(model / 2),
                              model % 2 != 0 };
    struct flow__order next;
    struct order_verdict v = order_of_table(&at, ours, kind, &next);
    const struct flow__order_row *row = NULL;
    struct flow__fault ignored;
    const struct flow__order_facts *f = facts_of(at.state);

    v.next = 2 * (unsigned)next.state + next.ticket;
    if (v.legal && flow__order_find(&at, ours, kind, ours ? f->tx : f->rx, &row,
                                    &ignored) == FLOW_OK) {
        if (row == change.gone) {
            v.legal = false;
            v.alert = FLOW__ALERT_UNEXPECTED_MESSAGE;
        }
        if (row == change.bent)
            v.next = table_start(row->from >= FLOW__STATE_S_CH);
    }
    if (change.has_extra && at.state == change.extra_state &&
        kind == change.extra_kind && ours == change.extra_ours) {
        v.legal = !v.legal;
        v.alert = FLOW__ALERT_UNEXPECTED_MESSAGE;
        v.level = ours ? f->tx : f->rx;
    }
    return v;
}

static bool
table_is_open(unsigned model)
{
    struct flow__order at = { (enum flow__order_state)(model / 2), false };

    return flow__order_is_open(&at);
}

static const struct order_model table_model = { table_start, table_take,
                                                table_is_open };

/* Whether the walk of the role to which a state belongs finds the change. */
static bool
is_noticed(enum flow__order_state at)
{
    struct order_walk walk = { .model = &table_model, .is_silent = true };

    order_walk(&walk, at >= FLOW__STATE_S_CH);
    return walk.differences > 0;
}

static void
the_walk_reaches_every_state(void **state)
{
    struct order_walk walk = { .model = &table_model };

    (void)state;
    memset(&change, 0, sizeof(change));
    order_walk(&walk, false);
    order_walk(&walk, true);
    assert_int_equal(walk.differences, 0);
    print_message("%u states (with and without a ticket due), %u messages, "
                  "%u of them legal\n",
                  walk.states, walk.compared, walk.legal);
    assert_true(walk.states >= FLOW__STATE_COUNT);
}

static void
the_walk_finds_every_row_that_is_changed(void **state)
{
    const struct flow__order_row *row;
    unsigned rows = 0;

    (void)state;
    for (size_t i = 0; (row = flow__order_row(i)) != NULL; i++) {
        if (row->refused != NULL)
            continue;
        memset(&change, 0, sizeof(change));
        change.gone = row;
        if (!is_noticed(row->from))
            fail_msg("%s, %s: left out and not noticed",
                     order_state_name(row->from), order_kind_name(row->kind));
        memset(&change, 0, sizeof(change));
        change.bent = row;
        if (!is_noticed(row->from))
            fail_msg("%s, %s: leads elsewhere and is not noticed",
                     order_state_name(row->from), order_kind_name(row->kind));
        rows++;
    }
    assert_int_equal(rows + 7, count_rows());
}

static void
the_walk_finds_every_row_that_is_added(void **state)
{
    (void)state;
    for (int i = 0; i < FLOW__STATE_COUNT; i++)
        for (int k = 0; k < FLOW__KIND_COUNT; k++)
            for (int ours = 0; ours < 2; ours++) {
                memset(&change, 0, sizeof(change));
                change.has_extra = true;
                change.extra_state = (enum flow__order_state)i;
                change.extra_kind = (enum flow__kind)k;
                change.extra_ours = ours != 0;
                if (ours && k == FLOW__KIND_CHANGE_CIPHER_SPEC &&
                    facts_of(change.extra_state)->version != TLS12)
                    continue;
                if (!is_noticed(change.extra_state))
                    fail_msg("%s, %s: added and not noticed",
                             order_state_name(change.extra_state),
                             order_kind_name(change.extra_kind));
            }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_fit_the_turn_and_the_version),
        cmocka_unit_test(a_last_message_changes_the_turn_or_the_key),
        cmocka_unit_test(messages_of_the_peer_have_a_check),
        cmocka_unit_test(a_message_has_one_row),
        cmocka_unit_test(states_say_what_is_read_over),
        cmocka_unit_test(what_has_no_row_is_refused),
        cmocka_unit_test(handshakes_of_the_rfcs_pass),
        cmocka_unit_test(a_message_left_out_is_noticed),
        cmocka_unit_test(
            hello_requests_are_ignored_by_a_client_that_negotiates),
        cmocka_unit_test(a_ticket_comes_if_it_was_promised),
        cmocka_unit_test(the_walk_reaches_every_state),
        cmocka_unit_test(the_walk_finds_every_row_that_is_changed),
        cmocka_unit_test(the_walk_finds_every_row_that_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
