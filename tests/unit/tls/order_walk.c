/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/order_walk.h"

#include <flow/status.h>

#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/order_names.h"

#define TABLE_STATES (2 * FLOW__STATE_COUNT)
#define MEANT_MAX    64

struct pair {
    struct flow__order at;
    unsigned model;
};

struct search {
    struct order_walk *walk;
    bool seen[TABLE_STATES][ORDER_MODEL_STATES];
    bool meant_seen[MEANT_MAX];
    struct pair queue[TABLE_STATES * ORDER_MODEL_STATES];
    size_t begin;
    size_t end;
};

struct order_verdict
order_of_table(const struct flow__order *at, bool ours, enum flow__kind kind,
               struct flow__order *ret_next)
{
    const struct flow__order_facts *facts = flow__order_facts(at->state);
    struct order_verdict v = { false, 0, FLOW__LEVEL_PLAIN, FLOW__ALERT_NONE };
    const struct flow__order_row *row;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow__level level = ours ? facts->tx : facts->rx;
    enum flow_status st;

    *ret_next = *at;
    if (!ours && kind == FLOW__KIND_CHANGE_CIPHER_SPEC && facts->drops_ccs) {
        v.legal = true;
        return v;
    }
    st = flow__order_find(at, ours, kind, level, &row, &fault);
    if (st != FLOW_OK) {
        assert_int_equal(st, ours ? FLOW_E_SYS : FLOW_E_PROTO);
        assert_non_null(fault.text);
        v.alert = fault.alert;
        return v;
    }
    assert_int_equal(fault.alert, FLOW__ALERT_NONE);
    v.legal = true;
    v.level = level;
    flow__order_take(ret_next, row);
    return v;
}

static void
visit(struct search *s, struct flow__order at, unsigned model)
{
    size_t state = 2 * (size_t)at.state + at.ticket;

    assert_true(model < ORDER_MODEL_STATES);
    if (s->seen[state][model])
        return;
    s->seen[state][model] = true;
    s->queue[s->end].at = at;
    s->queue[s->end].model = model;
    s->end++;
}

static bool
is_meant(struct search *s, enum flow__order_state state, bool ours,
         enum flow__kind kind)
{
    for (size_t i = 0; i < s->walk->meant_count; i++) {
        const struct order_difference *d = &s->walk->meant[i];

        if (d->state != state || d->ours != ours || d->kind != kind)
            continue;
        s->meant_seen[i] = true;
        return true;
    }
    return false;
}

static void
differ(struct search *s, const struct pair *p, bool ours, enum flow__kind kind,
       const char *table, const char *model)
{
    if (is_meant(s, p->at.state, ours, kind))
        return;
    s->walk->differences++;
    if (!s->walk->is_silent)
        print_message("%s%s (model state %u), %s %s: table %s, model %s\n",
                      order_state_name(p->at.state),
                      p->at.ticket ? " with a ticket due" : "", p->model,
                      ours ? "our" : "the peer's", order_kind_name(kind), table,
                      model);
}

/*
 * In our turn we do not read, and the peer's messages wait in the transport.
 * That does no harm if the message changes nothing and is as legal after any
 * message of ours.
 */
static bool
can_wait(const struct search *s, const struct pair *p, enum flow__kind kind)
{
    const struct order_model *model = s->walk->model;
    struct order_verdict now = model->take(p->model, false, kind);

    if (!s->walk->lets_wait || !now.legal || now.next != p->model ||
        flow__order_facts(p->at.state)->turn != FLOW__TURN_OURS)
        return false;
    for (int ours = 0; ours < FLOW__KIND_COUNT; ours++) {
        struct order_verdict sent =
            model->take(p->model, true, (enum flow__kind)ours);
        struct order_verdict later =
            sent.legal ? model->take(sent.next, false, kind) : now;

        if (!later.legal || later.level != now.level)
            return false;
    }
    return true;
}

static void
compare(struct search *s, const struct pair *p, bool ours, enum flow__kind kind)
{
    struct flow__order next;
    struct order_verdict t = order_of_table(&p->at, ours, kind, &next);
    struct order_verdict m = s->walk->model->take(p->model, ours, kind);

    s->walk->compared++;
    if (!ours && !t.legal && can_wait(s, p, kind)) {
        s->walk->waiting++;
        return;
    }
    if (t.legal != m.legal) {
        differ(s, p, ours, kind, t.legal ? "legal" : "not legal",
               m.legal ? "legal" : "not legal");
        return;
    }
    if (!t.legal) {
        if (!ours && t.alert != m.alert)
            differ(s, p, ours, kind, flow_alert_name((int)t.alert),
                   flow_alert_name((int)m.alert));
        return;
    }
    s->walk->legal++;
    if (t.level != m.level)
        differ(s, p, ours, kind, "another level", "another level");
    visit(s, next, m.next);
}

static void
walk_pair(struct search *s, const struct pair *p)
{
    bool open = s->walk->model->is_open(p->model);

    if (open != flow__order_is_open(&p->at))
        differ(s, p, true, FLOW__KIND_FINISHED,
               open ? "is not over" : "is over", open ? "is over" : "not over");
    for (int kind = 0; kind < FLOW__KIND_COUNT; kind++)
        for (int ours = 0; ours < 2; ours++) {
            /* A change_cipher_spec for middleboxes; the rows of messages say
             * when it is sent. */
            if (ours && kind == FLOW__KIND_CHANGE_CIPHER_SPEC &&
                flow__order_facts(p->at.state)->version != 0x0303)
                continue;
            compare(s, p, ours != 0, (enum flow__kind)kind);
        }
}

void
order_walk(struct order_walk *walk, bool server)
{
    struct search *s = calloc(1, sizeof(*s));
    struct flow__order at;

    assert_non_null(s);
    assert_true(walk->meant_count <= MEANT_MAX);
    s->walk = walk;
    flow__order_init(&at, server);
    visit(s, at, walk->model->start(server));
    while (s->begin < s->end && !(walk->is_silent && walk->differences > 0))
        walk_pair(s, &s->queue[s->begin++]);
    walk->pairs += (unsigned)s->end;
    for (size_t i = 0; i < TABLE_STATES; i++) {
        bool reached = false;

        for (size_t m = 0; m < ORDER_MODEL_STATES && !reached; m++)
            reached = s->seen[i][m];
        walk->states += reached;
    }
    for (size_t i = 0; i < walk->meant_count; i++)
        walk->meant_seen += s->meant_seen[i];
    free(s);
}
