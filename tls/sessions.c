/* SPDX-License-Identifier: ISC */
#include "tls/sessions.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "tls/config.h"

/*
 * A client's store of sessions, and its sessions as bytes:
 *
 *     "FTS1" | sealed(count 4 | the sessions)
 *
 * Invariants: a session is in the store or belongs to one handshake, never
 * both, so none is offered twice at a time.  count and bytes are those of the
 * list, whose first is the newest, and neither exceeds its limit.  An export
 * takes the sessions out while it writes them; if it fails, it puts them back
 * after the newer ones, unless the store was cleared since.
 *
 * Locks: lock, inside every other, with the fork blocked.  Sessions are freed,
 * and their memory is taken, outside of it.
 */

#define SESSIONS_COUNT     256u
#define SESSIONS_COUNT_MAX 4096u
#define SESSIONS_BYTES     (1u << 20)
#define SESSIONS_MAGIC     4

static const uint8_t sessions_magic[SESSIONS_MAGIC] = { 'F', 'T', 'S', '1' };

struct flow_tls_sessions {
    const struct flow_env *env;
    uint32_t refs;
    struct flow_lock lock;
    struct flow__session *first;
    size_t count;
    size_t bytes;
    size_t max_count;
    size_t max_bytes;
    uint64_t clears; /* calls of flow_tls_sessions_clear() */
};

static void
sessions_enter(struct flow_tls_sessions *s)
{
    flow_fork_block();
    flow_lock_acquire(&s->lock);
}

static void
sessions_leave(struct flow_tls_sessions *s)
{
    flow_lock_release(&s->lock);
    flow_fork_unblock();
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_sessions_new(const struct flow_env *env,
                      struct flow_tls_sessions **ret_sessions,
                      struct flow_error *ret_err)
{
    enum flow_status st = flow__engine_init(ret_err);
    struct flow_tls_sessions *s;

    if (st != FLOW_OK)
        return st;
    if (env == NULL)
        env = flow_env_default();
    s = flow_env_alloc(env, sizeof(*s));
    if (s == NULL)
        return flow_error_set(ret_err, FLOW_E_NOMEM, "tls sessions",
                              FLOW_DOMAIN_NONE, 0, "no memory");
    s->env = env;
    s->refs = 1;
    s->max_count = SESSIONS_COUNT;
    s->max_bytes = SESSIONS_BYTES;
    flow_lock_init(&s->lock);
    *ret_sessions = s;
    return FLOW_OK;
}

/* See <flow/tls_session.h>. */
struct flow_tls_sessions *
flow_tls_sessions_ref(struct flow_tls_sessions *s)
{
    (void)flow__add(&s->refs, 1);
    return s;
}

static void
sessions_free_list(struct flow__session *list)
{
    while (list != NULL) {
        struct flow__session *next = list->next;

        flow__session_free(list);
        list = next;
    }
}

/* See <flow/tls_session.h>. */
void
flow_tls_sessions_unref(struct flow_tls_sessions *s)
{
    if (s == NULL || flow__sub(&s->refs, 1) != 1)
        return;
    sessions_free_list(s->first);
    flow_lock_fini(&s->lock);
    flow_env_free(s->env, s, sizeof(*s));
}

/* Unlink everything after the place at which the limits are reached. */
static struct flow__session *
sessions_cut(struct flow_tls_sessions *s)
{
    struct flow__session **at = &s->first;
    struct flow__session *rest;

    s->count = 0;
    s->bytes = 0;
    while (*at != NULL && s->count < s->max_count &&
           s->bytes + (*at)->size <= s->max_bytes) {
        s->count++;
        s->bytes += (*at)->size;
        at = &(*at)->next;
    }
    rest = *at;
    *at = NULL;
    return rest;
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_sessions_set_limits(struct flow_tls_sessions *s, size_t count,
                             size_t bytes)
{
    struct flow__session *rest;

    if (count == 0 || count > SESSIONS_COUNT_MAX || bytes == 0)
        return FLOW_E_INVAL;
    sessions_enter(s);
    s->max_count = count;
    s->max_bytes = bytes;
    rest = sessions_cut(s);
    sessions_leave(s);
    sessions_free_list(rest);
    return FLOW_OK;
}

/* See <flow/tls_session.h>. */
size_t
flow_tls_sessions_count(struct flow_tls_sessions *s)
{
    size_t count;

    sessions_enter(s);
    count = s->count;
    sessions_leave(s);
    return count;
}

static struct flow__session *
sessions_unlink_all(struct flow_tls_sessions *s)
{
    struct flow__session *all = s->first;

    s->first = NULL;
    s->count = 0;
    s->bytes = 0;
    return all;
}

/* See <flow/tls_session.h>. */
void
flow_tls_sessions_clear(struct flow_tls_sessions *s)
{
    struct flow__session *all;

    sessions_enter(s);
    s->clears++;
    all = sessions_unlink_all(s);
    sessions_leave(s);
    sessions_free_list(all);
}

static struct flow__session *
sessions_unlink(struct flow_tls_sessions *s, struct flow__session **at)
{
    struct flow__session *taken = *at;

    *at = taken->next;
    taken->next = NULL;
    s->count--;
    s->bytes -= taken->size;
    return taken;
}

/* See tls/sessions.h. */
struct flow__session *
flow__sessions_take(struct flow_tls_sessions *s,
                    const uint8_t key[FLOW__PIN_LEN], int64_t now)
{
    struct flow__session *taken = NULL;
    struct flow__session *ended = NULL;
    struct flow__session **at = &s->first;

    sessions_enter(s);
    while (*at != NULL && taken == NULL)
        if (now >= (*at)->facts.ends || now < (*at)->facts.begun) {
            struct flow__session *old = sessions_unlink(s, at);

            old->next = ended;
            ended = old;
        } else if (memcmp((*at)->facts.key, key, FLOW__PIN_LEN) == 0) {
            taken = sessions_unlink(s, at);
        } else {
            at = &(*at)->next;
        }
    sessions_leave(s);
    sessions_free_list(ended);
    return taken;
}

/* See tls/sessions.h. */
const struct flow_env *
flow__sessions_env(const struct flow_tls_sessions *s)
{
    return s->env;
}

/* See tls/sessions.h. */
void
flow__sessions_put(struct flow_tls_sessions *s, struct flow__session *session)
{
    struct flow__session *rest = session;

    sessions_enter(s);
    if (session->size <= s->max_bytes) {
        session->next = s->first;
        s->first = session;
        rest = sessions_cut(s);
    }
    sessions_leave(s);
    sessions_free_list(rest);
}

/* --- as bytes --- */

static bool
sessions_write(const struct flow__session *list, struct flow__queue *to)
{
    uint32_t count = 0;
    uint8_t head[4];

    for (const struct flow__session *at = list; at != NULL; at = at->next)
        count++;
    for (int i = 0; i < 4; i++)
        head[i] = (uint8_t)(count >> (24 - 8 * i));
    if (!flow__queue_append(to, head, sizeof(head)))
        return false;
    for (; list != NULL; list = list->next)
        if (!flow__session_write(list, to))
            return false;
    return true;
}

static struct flow__seal_key
sessions_seal_key(const void *key)
{
    const struct flow__seal_key k = {
        key, { sessions_magic, sizeof(sessions_magic) }
    };

    return k;
}

static enum flow_status
sessions_seal(const struct flow__queue *plain, const void *key, uint8_t *out)
{
    const struct flow__seal_key k = sessions_seal_key(key);
    const struct flow__span text = { flow__queue_data(plain),
                                     flow__queue_len(plain) };

    memcpy(out, sessions_magic, sizeof(sessions_magic));
    return flow__engine_seal(&k, text, out + SESSIONS_MAGIC);
}

/* Take all of them to be written; *ret_clears is for sessions_restore(). */
static struct flow__session *
sessions_borrow(struct flow_tls_sessions *s, uint64_t *ret_clears)
{
    struct flow__session *all;

    sessions_enter(s);
    *ret_clears = s->clears;
    all = sessions_unlink_all(s);
    sessions_leave(s);
    return all;
}

/* Append sessions that are older than those of the store; the rest does not
 * fit. */
static struct flow__session *
sessions_append(struct flow_tls_sessions *s, struct flow__session *list)
{
    struct flow__session **end = &s->first;

    while (*end != NULL)
        end = &(*end)->next;
    *end = list;
    return sessions_cut(s);
}

/* Put sessions back that were taken to be written. */
static void
sessions_restore(struct flow_tls_sessions *s, struct flow__session *list,
                 uint64_t clears)
{
    struct flow__session *rest = list;

    sessions_enter(s);
    if (s->clears == clears)
        rest = sessions_append(s, list);
    sessions_leave(s);
    sessions_free_list(rest);
}

static void
sessions_add_older(struct flow_tls_sessions *s, struct flow__session *list)
{
    struct flow__session *rest;

    sessions_enter(s);
    rest = sessions_append(s, list);
    sessions_leave(s);
    sessions_free_list(rest);
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_sessions_export(struct flow_tls_sessions *s, const void *key,
                         void *buf, size_t cap, size_t *ret_len)
{
    uint64_t clears;
    struct flow__session *all = sessions_borrow(s, &clears);
    struct flow__queue plain;
    enum flow_status st = FLOW_E_NOMEM;

    flow__queue_init(&plain, s->env);
    *ret_len = 0;
    if (sessions_write(all, &plain)) {
        *ret_len =
            SESSIONS_MAGIC + FLOW__SEAL_OVERHEAD + flow__queue_len(&plain);
        st = cap < *ret_len ? FLOW_E_INVAL : sessions_seal(&plain, key, buf);
    }
    flow__queue_release(&plain);
    if (st == FLOW_OK)
        sessions_free_list(all);
    else
        sessions_restore(s, all, clears);
    return st;
}

static enum flow_status
sessions_refuse(struct flow_error *err, enum flow_status status,
                const char *text, const char *hint)
{
    (void)flow_error_set(err, status, "tls sessions", FLOW_DOMAIN_NONE, 0,
                         text);
    if (err != NULL)
        err->hint = hint;
    return status;
}

/* Read whole sessions into a list, the first of them first. */
static enum flow_status
sessions_read(const struct flow_env *env, struct flow__span from,
              struct flow__session **ret_list)
{
    struct flow__session **end = ret_list;
    struct flow__span head;
    uint32_t count;
    enum flow_status st = FLOW_OK;

    *ret_list = NULL;
    if (!flow__span_take(&from, 4, &head))
        return FLOW_E_INVAL;
    count = (uint32_t)head.base[0] << 24 | (uint32_t)head.base[1] << 16 |
            (uint32_t)head.base[2] << 8 | head.base[3];
    for (; count > 0 && st == FLOW_OK; count--) {
        st = flow__session_read(env, &from, end);
        if (st == FLOW_OK)
            end = &(*end)->next;
        else
            *end = NULL;
    }
    if (st == FLOW_OK && from.len > 0)
        st = FLOW_E_INVAL;
    if (st != FLOW_OK) {
        sessions_free_list(*ret_list);
        *ret_list = NULL;
    }
    return st;
}

static enum flow_status
sessions_open(struct flow_tls_sessions *s, const void *key,
              struct flow__span sealed, struct flow__session **ret_list)
{
    const struct flow__seal_key k = sessions_seal_key(key);
    size_t len = sealed.len - FLOW__SEAL_OVERHEAD;
    uint8_t *text = flow_env_alloc(s->env, len + 1);
    struct flow__span plain = { text, len };
    enum flow_status st;

    if (text == NULL)
        return FLOW_E_NOMEM;
    st = flow__engine_open(&k, sealed, text);
    if (st == FLOW_OK)
        st = sessions_read(s->env, plain, ret_list);
    flow_wipe(text, len + 1);
    flow_env_free(s->env, text, len + 1);
    return st;
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_sessions_import(struct flow_tls_sessions *s, const void *key,
                         const void *data, size_t len,
                         struct flow_error *ret_err)
{
    struct flow__session *list;
    struct flow__span sealed = { data, len };
    struct flow__span magic;
    enum flow_status st;

    if (len < SESSIONS_MAGIC + FLOW__SEAL_OVERHEAD ||
        !flow__span_take(&sealed, SESSIONS_MAGIC, &magic) ||
        !flow__span_is(magic, sessions_magic, SESSIONS_MAGIC))
        return sessions_refuse(ret_err, FLOW_E_INVAL,
                               "these bytes are not exported sessions",
                               "give what flow_tls_sessions_export() wrote");
    st = sessions_open(s, key, sealed, &list);
    if (st == FLOW_E_AUTH)
        return sessions_refuse(ret_err, st,
                               "the sessions were changed, or exported with "
                               "another key",
                               "drop them: connections are made in full");
    if (st == FLOW_E_INVAL)
        return sessions_refuse(ret_err, st, "the sessions are malformed",
                               "drop them: connections are made in full");
    if (st != FLOW_OK)
        return sessions_refuse(ret_err, st, "the sessions cannot be read",
                               NULL);
    sessions_add_older(s, list);
    return FLOW_OK;
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_config_set_sessions(struct flow_tls_config *c,
                             struct flow_tls_sessions *s, unsigned tickets,
                             struct flow_error *ret_err)
{
    if (flow__config_is_frozen(c))
        return flow__config_refuse(ret_err, FLOW_E_BUSY,
                                   "the configuration is in use");
    if (c->server)
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "sessions are kept by a client");
    if (!flow__engine_can_resume())
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "this build of the library has no sessions");
    if (s != NULL && (tickets == 0 || tickets > FLOW_TLS_TICKETS_MAX))
        return flow__config_refuse(ret_err, FLOW_E_INVAL,
                                   "a connection keeps 1 to 8 tickets");
    flow_tls_sessions_unref(c->sessions);
    c->sessions = s != NULL ? flow_tls_sessions_ref(s) : NULL;
    c->session_tickets = tickets;
    return FLOW_OK;
}
