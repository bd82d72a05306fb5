/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_session.h>

#include "test.h"
#include "tests/unit/tls/order_model.h"
#include "tests/unit/tls/order_names.h"
#include "tests/unit/tls/script.h"
#include "tls/order.h"
#include "tls/record.h"

/*
 * Every message in every state of the handshake in which the peer's is read.
 * One end is ours, with the scripted engine.  The peer is a list of records
 * that the test seals: the genuine ones up to the state, then the one that is
 * tried.  Whether that one is legal, and the alert if it is not, says the model
 * of order_model.c, which follows the same handshake.
 *
 * A legal message reaches the engine.  An illegal one does not, and its alert
 * is the last record that we send, under the key that the peer expects.
 */

#define TLS12     0x0303
#define TLS13     0x0304
#define STEPS_MAX 10

static const struct script_shape shapes[] = {
    { .version = TLS13 },
    { .version = TLS13, .asks = true },
    { .version = TLS13, .asks = true, .presents = true },
    { .version = TLS13, .retries = true },
    { .version = TLS13, .resumes = true },
    { .version = TLS13, .resumes = true, .retries = true },
    { .version = TLS12 },
    { .version = TLS12, .asks = true },
    { .version = TLS12, .asks = true, .presents = true },
    { .version = TLS12, .promises = true },
    { .version = TLS12, .resumes = true },
    { .version = TLS12, .resumes = true, .promises = true },
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* --- what the peer sends --- */

struct step {
    bool is_change; /* a change_cipher_spec of TLS 1.2 */
    struct script_event message;
    enum flow__level level;
    /* Before this step: */
    struct flow__order at;
    unsigned model;
};

static struct {
    const struct script_shape *shape;
    bool we_serve;
    struct step step[STEPS_MAX + 1]; /* the last is of the open connection */
    unsigned steps;
    /* While the plan is made: */
    struct flow__order at;
    unsigned model;
    bool we_changed;
} plan;

static void
play(bool ours, enum flow__kind kind, enum flow__level level)
{
    struct order_verdict v = order_model.take(plan.model, ours, kind);
    const struct flow__order_row *row;
    struct flow__fault fault;

    assert_true(v.legal);
    plan.model = v.next;
    assert_int_equal(
        flow__order_find(&plan.at, ours, kind, level, &row, &fault), FLOW_OK);
    flow__order_take(&plan.at, row);
}

static void
play_message(bool ours, const struct script_event *m)
{
    const struct flow__span session_id = { script_session_id,
                                           sizeof(script_session_id) };

    play(ours, flow__order_kind(&plan.at, m->bytes, m->len, session_id),
         m->level);
}

/* What we send in one call of the engine. */
static void
play_call(const struct script_call *call)
{
    for (unsigned i = 0; i < call->events; i++) {
        const struct script_event *e = &call->event[i];

        if (e->is_secret)
            continue;
        if (plan.shape->version == TLS12 && e->level == FLOW__LEVEL_DATA &&
            !plan.we_changed) {
            plan.we_changed = true;
            play(true, FLOW__KIND_CHANGE_CIPHER_SPEC, FLOW__LEVEL_PLAIN);
        }
        play_message(true, e);
    }
}

static struct step *
next_step(void)
{
    struct step *s = &plan.step[plan.steps];

    assert_true(plan.steps <= STEPS_MAX);
    memset(s, 0, sizeof(*s));
    s->at = plan.at;
    s->model = plan.model;
    return s;
}

static void
plan_change(void)
{
    next_step()->is_change = true;
    plan.steps++;
    play(false, FLOW__KIND_CHANGE_CIPHER_SPEC, FLOW__LEVEL_PLAIN);
}

static void
make_plan(const struct script_shape *shape, bool we_serve)
{
    const struct script *ours = we_serve ? &script_server : &script_client;
    const struct script *theirs = we_serve ? &script_client : &script_server;
    unsigned made = we_serve ? 0 : 1;
    bool changed = shape->version == TLS13;

    memset(&plan, 0, sizeof(plan));
    plan.shape = shape;
    plan.we_serve = we_serve;
    plan.model = order_model.start(we_serve);
    flow__order_init(&plan.at, we_serve);
    script_write_shape(shape);
    if (!we_serve)
        play_call(&ours->call[0]);
    for (unsigned c = 0; c < theirs->calls; c++)
        for (unsigned i = 0; i < theirs->call[c].events; i++) {
            const struct script_event *e = &theirs->call[c].event[i];
            struct step *s;

            if (e->is_secret)
                continue;
            if (!changed && e->level == FLOW__LEVEL_DATA) {
                changed = true;
                plan_change();
            }
            s = next_step();
            s->message = *e;
            s->level = e->level;
            plan.steps++;
            play_message(false, e);
            play_call(&ours->call[made++]);
        }
    next_step()->level = FLOW__LEVEL_DATA;
    assert_int_equal(made, ours->calls);
    assert_true(order_model.is_open(plan.model));
    assert_true(flow__order_is_open(&plan.at));
}

/* --- the peer --- */

static struct {
    struct flow *flow;
    struct flow__record_keys tx[FLOW__LEVEL_DATA + 1];
    struct flow__record_keys rx[FLOW__LEVEL_DATA + 1];
} peer;

/* As the lists and the scripted engine have them. */
static void
keys_of(bool server, enum flow__level level, struct flow__record_keys *k)
{
    static const uint8_t random[FLOW__RANDOM_LEN] = { 1 };
    const bool is13 = plan.shape->version == TLS13;
    const struct flow__suite *suite = flow__suite_find(is13 ? 0x1301 : 0xc02b);
    struct flow__key_material keys[2];
    uint8_t master[FLOW__MASTER_LEN];
    const struct flow__keys12 from = { master, random, random };
    struct flow__secret secret = { suite->hash, { 0 } };

    if (is13) {
        memset(secret.bytes,
               (level == FLOW__LEVEL_HANDSHAKE ? 1 : 3) + (server ? 1 : 0), 32);
        assert_status(flow__keys_traffic(suite, &secret, &keys[server]),
                      FLOW_OK);
    } else {
        memset(master, 5, sizeof(master));
        assert_status(flow__keys_tls12(suite, &from, &keys[0], &keys[1]),
                      FLOW_OK);
    }
    assert_status(flow__record_init(k, TEST_ENV, suite, &keys[server], 0),
                  FLOW_OK);
}

static void
peer_begin(struct flow *flow)
{
    peer.flow = flow;
    for (int level = 1; level < FLOW__LEVEL_DATA + 1; level++) {
        keys_of(!plan.we_serve, (enum flow__level)level, &peer.tx[level]);
        keys_of(plan.we_serve, (enum flow__level)level, &peer.rx[level]);
    }
}

static void
peer_end(void)
{
    for (int level = 1; level < FLOW__LEVEL_DATA + 1; level++) {
        flow__record_fini(&peer.tx[level]);
        flow__record_fini(&peer.rx[level]);
    }
    flow_close(peer.flow);
    peer.flow = NULL;
}

static void
peer_send(enum flow__level level, uint8_t type, const void *bytes, size_t len)
{
    const struct flow_cvec vec = { bytes, len };
    const struct flow__record_content content = { type, &vec, 0, len, 0 };
    uint8_t record[500];
    size_t total = FLOW__RECORD_HEADER + len;
    size_t n;

    assert_true(len + 100 <= sizeof(record));
    if (level == FLOW__LEVEL_PLAIN) {
        flow__record_write_header(record, type, len);
        memcpy(record + FLOW__RECORD_HEADER, bytes, len);
    } else {
        assert_status(
            flow__record_seal(&peer.tx[level], &content, record, &total),
            FLOW_OK);
    }
    assert_status(flow_write(peer.flow, record, total, &n), FLOW_OK);
    assert_int_equal(n, total);
    assert_status(flow_flush(peer.flow), FLOW_OK);
}

static void
peer_change(enum flow__level level)
{
    peer_send(level, FLOW__CONTENT_CHANGE_CIPHER_SPEC, "\1", 1);
}

static void
peer_send_step(const struct step *s)
{
    if (s->is_change)
        peer_change(FLOW__LEVEL_PLAIN);
    else
        peer_send(s->level, FLOW__CONTENT_HANDSHAKE, s->message.bytes,
                  s->message.len);
}

/* Open one record of ours. */
static uint8_t
peer_open(const uint8_t *record, size_t len, bool is_changed, uint8_t *out)
{
    const bool is13 = plan.shape->version == TLS13;
    struct flow__record_opened opened;
    struct flow__fault fault;

    if (is13 ? record[0] != FLOW__CONTENT_APPLICATION_DATA : !is_changed) {
        memcpy(out, record + FLOW__RECORD_HEADER, len - FLOW__RECORD_HEADER);
        return record[0];
    }
    for (int level = is13 ? 1 : 2; level < FLOW__LEVEL_DATA + 1; level++)
        if (flow__record_open(&peer.rx[level], record, len, out, &opened,
                              &fault) == FLOW_OK)
            return opened.type;
    fail_msg("the peer cannot open a record of ours");
    return 0;
}

/* The alert in our last record; -1: that is another one. */
static int
peer_alert(void)
{
    static uint8_t bytes[16384], out[16384];
    bool is_changed = false;
    int alert = -1;
    size_t len, size;

    if (flow_read(peer.flow, bytes, sizeof(bytes), &len) != FLOW_OK)
        return -1;
    for (const uint8_t *p = bytes; len > 0; p += size, len -= size) {
        uint8_t type;

        size = FLOW__RECORD_HEADER + (size_t)(p[3] << 8 | p[4]);
        assert_true(size <= len);
        type = peer_open(p, size, is_changed, out);
        is_changed |= type == FLOW__CONTENT_CHANGE_CIPHER_SPEC;
        alert = type == FLOW__CONTENT_ALERT ? out[1] : -1;
    }
    return alert;
}

/* --- our end --- */

static struct {
    struct flow_tls_config *config;
    struct flow_tls_sessions *store;
    struct flow *flow;
    struct script *script;
} ours;

static void
configure(const struct script_shape *shape, bool we_serve)
{
    enum flow_tls_version v = (enum flow_tls_version)shape->version;
    struct flow_tls_config **c = &ours.config;

    assert_status(we_serve ? flow_tls_config_new_server(TEST_ENV, c, NULL)
                           : flow_tls_config_new_client(TEST_ENV, c, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(*c, v, v), FLOW_OK);
    if (we_serve || shape->presents)
        assert_status(flow_tls_config_add_keypair(*c, "chain", 5, "key", 3,
                                                  NULL, NULL, NULL),
                      FLOW_OK);
    if (!we_serve || shape->asks)
        assert_status(flow_tls_config_add_trust(*c, script_certificate,
                                                sizeof(script_certificate),
                                                NULL),
                      FLOW_OK);
    if (we_serve && shape->asks)
        assert_status(flow_tls_config_set_client_auth(
                          *c, shape->presents ? FLOW_TLS_CLIENT_AUTH_REQUIRED
                                              : FLOW_TLS_CLIENT_AUTH_OPTIONAL),
                      FLOW_OK);
    if (we_serve || !shape->resumes)
        return;
    assert_status(flow_tls_sessions_new(TEST_ENV, &ours.store, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(*c, ours.store, 1, NULL),
                  FLOW_OK);
}

static void
begin(const struct script_shape *shape, bool we_serve)
{
    struct flow *below, *other;

    make_plan(shape, we_serve);
    ours.script = we_serve ? &script_server : &script_client;
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &below, &other),
                  FLOW_OK);
    peer_begin(other);
    assert_status(
        we_serve ? flow_tls_wrap_server(ours.config, below, 0, &ours.flow, NULL)
                 : flow_tls_wrap_client(ours.config, below, "server.example", 0,
                                        &ours.flow, NULL),
        FLOW_OK);
    assert_status(flow_open(ours.flow), FLOW_AGAIN);
}

static void
end(void)
{
    flow_close(ours.flow);
    ours.flow = NULL;
    peer_end();
}

static void
go_to(unsigned target)
{
    for (unsigned i = 0; i < target; i++) {
        peer_send_step(&plan.step[i]);
        assert_status(flow_open(ours.flow),
                      i + 1 == plan.steps ? FLOW_OK : FLOW_AGAIN);
    }
}

/* Give a client the session that it will offer. */
static void
prime(const struct script_shape *shape)
{
    const struct script_shape full = { .version = shape->version,
                                       .promises = shape->version == TLS12 };
    struct script_event ticket;
    uint8_t byte;
    size_t n;

    if (ours.store == NULL || flow_tls_sessions_count(ours.store) > 0)
        return;
    begin(&full, false);
    go_to(plan.steps);
    if (shape->version == TLS13) {
        script_make(FLOW__KIND_NEW_SESSION_TICKET, &full, false, &ticket);
        peer_send(FLOW__LEVEL_DATA, FLOW__CONTENT_HANDSHAKE, ticket.bytes,
                  ticket.len);
        assert_status(flow_read(ours.flow, &byte, 1, &n), FLOW_AGAIN);
    }
    end();
    assert_int_equal(flow_tls_sessions_count(ours.store), 1);
}

/* --- one message in one state --- */

static bool seen[FLOW__STATE_COUNT];
static unsigned legal, refused;

/* TLS 1.2 may still be chosen there; see tls/order.c. */
static bool
is_stricter(const struct step *s, enum flow__kind kind)
{
    return s->at.state == FLOW__STATE_C_SH &&
           kind == FLOW__KIND_CHANGE_CIPHER_SPEC;
}

/* Send the message; the status of the call that reads it. */
static enum flow_status
try_message(const struct step *s, enum flow__kind kind, unsigned target)
{
    const bool is_open = target == plan.steps;
    struct script_event m;
    uint8_t byte;
    size_t n;

    if (kind == FLOW__KIND_CHANGE_CIPHER_SPEC) {
        peer_change(is_open && plan.shape->version == TLS12
                        ? FLOW__LEVEL_DATA
                        : FLOW__LEVEL_PLAIN);
    } else {
        script_make(kind, plan.shape, plan.shape->retries && target > 0, &m);
        peer_send(s->level, FLOW__CONTENT_HANDSHAKE, m.bytes, m.len);
    }
    if (!is_open)
        return flow_open(ours.flow);
    return flow_read(ours.flow, &byte, 1, &n);
}

static void
check_refused(enum flow_status st, int alert, unsigned made)
{
    struct flow_error err;

    refused++;
    assert_status(st, FLOW_E_PROTO);
    (void)!flow_flush(ours.flow);
    flow_get_error(ours.flow, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    assert_int_equal(peer_alert(), alert);
    assert_int_equal(ours.script->made, made);
}

/* A legal message that is not the genuine one may contradict the hellos or the
 * list of the engine, but its place is right. */
static void
check_legal(enum flow_status st)
{
    struct flow_error err;

    legal++;
    if (st >= 0)
        return;
    flow_get_error(ours.flow, FLOW_READ, &err);
    assert_int_not_equal(err.alert_sent, FLOW__ALERT_UNEXPECTED_MESSAGE);
}

static void
check_cell(unsigned target, enum flow__kind kind)
{
    const struct step *s = &plan.step[target];
    struct order_verdict v = order_model.take(s->model, false, kind);
    unsigned made = ours.script->made;
    enum flow_status st = try_message(s, kind, target);

    if (is_stricter(s, kind))
        check_refused(st, FLOW__ALERT_UNEXPECTED_MESSAGE, made);
    else if (v.legal)
        check_legal(st);
    else
        check_refused(st, (int)v.alert, made);
}

/* The genuine message: the engine gets it. */
static void
check_genuine(unsigned target)
{
    const struct step *s = &plan.step[target];
    unsigned made = ours.script->made;

    peer_send_step(s);
    assert_status(flow_open(ours.flow),
                  target + 1 == plan.steps ? FLOW_OK : FLOW_AGAIN);
    if (s->is_change)
        return;
    assert_int_equal(ours.script->made, made + 1);
    assert_int_equal(ours.script->call[made].fed, s->message.bytes[0]);
    assert_int_equal(ours.script->call[made].fed_level, s->level);
}

static void
check_state(const struct script_shape *shape, bool we_serve, unsigned target)
{
    static char name[100];

    /* FLOW__KIND_COUNT stands for the genuine message. */
    for (int kind = 0; kind <= FLOW__KIND_COUNT; kind++) {
        prime(shape);
        begin(shape, we_serve);
        snprintf(name, sizeof(name), "shape %d, %s, state %s, message %d",
                 (int)(shape - shapes), we_serve ? "server" : "client",
                 order_state_name(plan.step[target].at.state), kind);
        guard_case(name);
        go_to(target);
        seen[plan.step[target].at.state] = true;
        if (kind < FLOW__KIND_COUNT)
            check_cell(target, (enum flow__kind)kind);
        else if (target < plan.steps)
            check_genuine(target);
        end();
    }
}

static void
check_shape(const struct script_shape *shape, bool we_serve)
{
    unsigned steps;

    configure(shape, we_serve);
    make_plan(shape, we_serve);
    steps = plan.steps;
    for (unsigned target = 0; target <= steps; target++)
        check_state(shape, we_serve, target);
    flow_tls_config_unref(ours.config);
    flow_tls_sessions_unref(ours.store);
    memset(&ours, 0, sizeof(ours));
}

static void
check_role(bool we_serve)
{
    legal = refused = 0;
    for (size_t i = 0; i < SHAPES; i++)
        check_shape(&shapes[i], we_serve);
    print_message("  %u legal messages, %u refused\n", legal, refused);
    for (int i = 0; i < FLOW__STATE_COUNT; i++) {
        const struct flow__order_facts *f =
            flow__order_facts((enum flow__order_state)i);

        if (we_serve == (i >= FLOW__STATE_S_CH) && f->turn != FLOW__TURN_OURS &&
            !seen[i])
            fail_msg("no handshake comes to %s",
                     order_state_name((enum flow__order_state)i));
    }
}

static void
a_client_takes_no_message_out_of_place(void **state)
{
    (void)state;
    check_role(false);
}

static void
a_server_takes_no_message_out_of_place(void **state)
{
    (void)state;
    check_role(true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_takes_no_message_out_of_place),
        TEST(a_server_takes_no_message_out_of_place),
    };

    return TEST_RUN(tests);
}
