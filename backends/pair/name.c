/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/endpoint.h>
#include <flow/listener.h>

#include "backends/pair/pair.h"

/* Named by the list of schemes in flow/schemes.h, which the build writes. */
extern const struct flow_scheme flow__scheme_pair;

#define NAME_BACKLOG_DEFAULT 128u

/*
 * "pair:NAME": the names of this process and their listeners.
 *
 * - A name has at most one listener, which is in the list while it is open.
 * - A queue has at most `backlog` ends.  An end in a queue belongs to the
 *   listener; accept gives it to the caller, and closing the listener closes
 * it.
 * - A flow that connects is end 0 of a pair; its end 1 belongs to it until it
 * is queued.
 *
 * Lock order: the lock of the names, the lock of waits.
 * fork(2) waits while the lock of the names is held.
 */
struct pair_listener {
    struct flow_listener base;
    struct pair_listener *next;
    struct pair_end *head; /* Waiting for accept, oldest first. */
    struct pair_end *tail;
    unsigned waiting;
    unsigned backlog;
    struct flow_event arrived;
    char name[PAIR_NAME_MAX + 1];
};

static struct {
    uint32_t once;
    struct flow_lock lock;
    struct pair_listener *first;
    /* A queue has room again, or the list changed.  There is one event for all
     * names: an event of the listener would end with it under a waiting flow.
     */
    struct flow_event changed;
} name_table;

static void
name_init(void)
{
    flow_lock_init(&name_table.lock);
    flow_event_init(&name_table.changed);
}

static void
name_acquire(void)
{
    flow_once(name_init, &name_table.once);
    /* So that a child finds the list consistent and the lock free. */
    flow_fork_block();
    flow_lock_acquire(&name_table.lock);
}

static void
name_release(void)
{
    flow_lock_release(&name_table.lock);
    flow_fork_unblock();
}

static struct pair_listener *
name_find(const char *name)
{
    struct pair_listener *l = name_table.first;

    while (l != NULL && strcmp(l->name, name) != 0)
        l = l->next;
    return l;
}

static bool
name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static enum flow_status
name_check(const char *name, struct flow_error *err)
{
    size_t len = strlen(name);
    size_t i = 0;

    while (i < len && name_char(name[i]))
        i++;
    if (len > 0 && len <= PAIR_NAME_MAX && i == len)
        return FLOW_OK;
    flow_error_set(err, FLOW_E_INVAL, "pair", FLOW_DOMAIN_NONE, 0,
                   "not a valid name for a pair");
    flow_error_set_detail(err, name);
    if (err != NULL)
        err->hint = "write pair:NAME with 1 to 63 letters, digits, '-', '_' "
                    "and '.'";
    return FLOW_E_INVAL;
}

/*
 * Connecting.  The flow is the first end of a pair that is allocated at once,
 * so that the opening cannot fail for lack of memory.  The opening puts the
 * second end into the listener's queue.
 */
static struct pair *
name_dialled(struct flow *f)
{
    return ((struct pair_end *)f)->pair;
}

static enum flow_status
name_dial_fail(struct flow *f, enum flow_status status, const char *text,
               const char *hint)
{
    struct flow_error err;
    char address[PAIR_ADDRESS_SIZE];

    flow__pair_address(name_dialled(f)->name, address);
    flow_error_set(&err, status, "pair", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(&err, address);
    err.hint = hint;
    return flow_fail_with(f, FLOW_READ | FLOW_WRITE, &err);
}

static void
name_enqueue(struct pair_listener *l, struct pair *p)
{
    struct pair_end *e = &p->end[1];

    if (l->tail != NULL)
        l->tail->next = e;
    else
        l->head = e;
    l->tail = e;
    l->waiting++;
    p->queued = true;
    flow_event_signal(&l->arrived);
}

static bool
name_dial_is_late(const struct pair *p)
{
    return p->dial_deadline != FLOW_NEVER &&
           p->env->now(p->env->ctx) >= p->dial_deadline;
}

static enum flow_status
name_dial_open(struct flow *f)
{
    struct pair *p = name_dialled(f);
    struct pair_listener *l;
    bool late;
    bool full;

    name_acquire();
    if (p->timeout != 0 && p->dial_deadline == FLOW_NEVER)
        p->dial_deadline =
            flow_time_after(p->env->now(p->env->ctx), p->timeout);
    late = name_dial_is_late(p);
    l = name_find(p->name);
    full = l != NULL && l->waiting >= l->backlog;
    if (l != NULL && !full && !p->queued)
        name_enqueue(l, p);
    full = full && !p->queued;
    name_release();

    if (p->queued)
        return FLOW_OK;
    if (l == NULL)
        return name_dial_fail(f, FLOW_E_CLOSED, "no listener has this name",
                              "names are those of this process; listen first");
    if (late)
        return name_dial_fail(
            f, FLOW_E_TIMEOUT,
            "the listener's queue stayed full until the timeout", NULL);
    return FLOW_AGAIN;
}

static uint32_t
name_dial_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct pair *p = name_dialled(f);
    struct pair_listener *l;
    uint32_t seq;
    bool ready;

    if (interest != FLOW_READY_OPEN)
        return flow__pair_wait(f, interest, set);

    name_acquire();
    seq = flow_event_sequence(&name_table.changed);
    l = name_find(p->name);
    ready = p->queued || l == NULL || l->waiting < l->backlog ||
            name_dial_is_late(p);
    name_release();
    if (ready)
        return FLOW_READY_OPEN;
    flow_wait_add_event(set, &name_table.changed, seq);
    flow_wait_add_time(set, p->dial_deadline);
    return 0;
}

static void
name_dial_close(struct flow *f)
{
    struct pair *p = name_dialled(f);

    /* The second end was never queued: close it as well. */
    if (!p->queued)
        flow_close(&p->end[1].base);
    flow__pair_close(f);
}

static const struct flow_ops name_dial_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "pair",
    .readv = flow__pair_readv,
    .writev = flow__pair_writev,
    .shutdown = flow__pair_shutdown,
    .wait = name_dial_wait,
    .close = name_dial_close,
    .open = name_dial_open,
    .lease = flow__pair_lease,
    .commit = flow__pair_commit,
    .query = flow__pair_query,
};

static enum flow_status
name_scheme_dial(const struct flow_env *env, const char *rest,
                 const struct flow_endpoint_options *opt,
                 struct flow **ret_flow, struct flow_error *err)
{
    enum flow_status st = name_check(rest, err);
    struct pair *p;

    if (st != FLOW_OK)
        return st;
    st = flow__pair_make(env, PAIR_DEFAULT_CAPACITY, NULL, &p);
    if (st != FLOW_OK)
        return flow_error_set(err, st, "pair", FLOW_DOMAIN_NONE, 0,
                              "no memory for a pair");
    memcpy(p->name, rest, strlen(rest) + 1);
    p->timeout = opt != NULL ? opt->timeout : 0;
    memset(&p->end[0].base, 0, sizeof(p->end[0].base));
    *ret_flow = &p->end[0].base;
    return flow_base_init(&p->end[0].base, &name_dial_ops, env,
                          PAIR_CAPS | FLOW_CAP_NEEDS_OPEN);
}

/* Listening. */

static struct pair_listener *
pair_listener_of(struct flow_listener *l)
{
    return (struct pair_listener *)l;
}

static enum flow_status
name_listener_accept(struct flow_listener *base, struct flow **ret_flow)
{
    struct pair_listener *l = pair_listener_of(base);
    struct pair_end *e;

    name_acquire();
    e = l->head;
    if (e != NULL) {
        l->head = e->next;
        if (l->head == NULL)
            l->tail = NULL;
        l->waiting--;
        flow_event_signal(&name_table.changed);
    }
    name_release();
    if (e == NULL)
        return FLOW_AGAIN;
    *ret_flow = &e->base;
    return flow__pair_join(e, base->env);
}

static bool
name_listener_wait(struct flow_listener *base, struct flow_wait_set *set)
{
    struct pair_listener *l = pair_listener_of(base);
    uint32_t seq = flow_event_sequence(&l->arrived);
    bool ready;

    name_acquire();
    ready = l->head != NULL;
    name_release();
    if (!ready)
        flow_wait_add_event(set, &l->arrived, seq);
    return ready;
}

static void
name_remove(struct pair_listener *l)
{
    struct pair_listener **link = &name_table.first;

    while (*link != l)
        link = &(*link)->next;
    *link = l->next;
}

static void
name_listener_close(struct flow_listener *base)
{
    struct pair_listener *l = pair_listener_of(base);
    struct pair_end *e;

    name_acquire();
    name_remove(l);
    flow_event_signal(&name_table.changed);
    name_release();
    /* No flow can find the queue any more. */
    while ((e = l->head) != NULL) {
        l->head = e->next;
        flow_close(&e->base);
    }
    flow_event_fini(&l->arrived);
    flow_env_free(base->env, l, sizeof(*l));
}

static enum flow_status
name_listener_query(struct flow_listener *base, enum flow_query_key key,
                    void *buf, size_t *len)
{
    char address[PAIR_ADDRESS_SIZE];

    if (key != FLOW_QUERY_LOCAL_ADDRESS && key != FLOW_QUERY_DESCRIPTION)
        return FLOW_E_NOTSUP;
    flow__pair_address(pair_listener_of(base)->name, address);
    return flow_answer_string(buf, len, address);
}

static const struct flow_listener_ops name_listener_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "pair",
    .accept = name_listener_accept,
    .wait = name_listener_wait,
    .close = name_listener_close,
    .query = name_listener_query,
};

static bool
name_add(struct pair_listener *l)
{
    bool taken;

    name_acquire();
    taken = name_find(l->name) != NULL;
    if (!taken) {
        l->next = name_table.first;
        name_table.first = l;
        flow_event_signal(&name_table.changed);
    }
    name_release();
    return !taken;
}

static enum flow_status
name_scheme_listen(const struct flow_env *env, const char *rest,
                   const struct flow_endpoint_options *opt,
                   struct flow_listener **ret_listener, struct flow_error *err)
{
    enum flow_status st = name_check(rest, err);
    struct pair_listener *l;

    if (st != FLOW_OK)
        return st;
    if (opt != NULL && opt->backlog < 0)
        return flow_error_set(err, FLOW_E_INVAL, "pair", FLOW_DOMAIN_NONE, 0,
                              "the backlog is negative");
    l = flow_env_alloc(env, sizeof(*l));
    if (l == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "pair", FLOW_DOMAIN_NONE, 0,
                              "no memory for a listener");
    flow_listener_init(&l->base, &name_listener_ops, env);
    flow_event_init(&l->arrived);
    memcpy(l->name, rest, strlen(rest) + 1);
    l->backlog = opt != NULL && opt->backlog > 0 ? (unsigned)opt->backlog
                                                 : NAME_BACKLOG_DEFAULT;
    if (!name_add(l)) {
        flow_event_fini(&l->arrived);
        flow_env_free(env, l, sizeof(*l));
        flow_error_set(err, FLOW_E_BUSY, "pair", FLOW_DOMAIN_NONE, 0,
                       "another listener of this process has the name");
        flow_error_set_detail(err, rest);
        return FLOW_E_BUSY;
    }
    *ret_listener = &l->base;
    return FLOW_OK;
}

const struct flow_scheme flow__scheme_pair = {
    .name = "pair",
    .syntax = "pair:NAME",
    .dial = name_scheme_dial,
    .listen = name_scheme_listen,
};
