/* SPDX-License-Identifier: ISC */
#include "tls/tickets.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "tls/config.h"

/*
 * The keys of tickets.
 *
 * Invariants: key[0] seals, and all of them open.  Keys of our own end by the
 * monotonic clock, each at its time, so a later one may end first; those that
 * were given stay until others are given.  A key that has ended is wiped before
 * the next one is handed out.  No nonce depends on
 * what is kept here (tls/mbedtls/sealing.c), so a forked child may seal with
 * the same keys.
 *
 * Locks: lock, inside every other, with the fork blocked.
 */

#define TICKETS_LIFETIME  7200u
#define TICKETS_COUNT     2u
#define TICKETS_COUNT_MAX 8u

struct tickets_slot {
    struct flow__ticket_key key;
    uint64_t seals_until; /* monotonic ns; FLOW_NEVER: it was given */
    uint64_t opens_until;
};

struct flow_tls_tickets {
    const struct flow_env *env;
    uint32_t refs;
    struct flow_lock lock;
    uint32_t lifetime; /* seconds */
    unsigned count;
    size_t keys;
    struct tickets_slot key[FLOW_TLS_TICKET_KEYS_MAX];
};

static void
tickets_enter(struct flow_tls_tickets *t)
{
    flow_fork_block();
    flow_lock_acquire(&t->lock);
}

static void
tickets_leave(struct flow_tls_tickets *t)
{
    flow_lock_release(&t->lock);
    flow_fork_unblock();
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_tickets_new(const struct flow_env *env,
                     struct flow_tls_tickets **ret_tickets,
                     struct flow_error *ret_err)
{
    struct flow_tls_tickets *t;

    if (env == NULL)
        env = flow_env_default();
    t = flow_env_alloc(env, sizeof(*t));
    if (t == NULL)
        return flow_error_set(ret_err, FLOW_E_NOMEM, "tls tickets",
                              FLOW_DOMAIN_NONE, 0, "no memory");
    t->env = env;
    t->refs = 1;
    t->lifetime = TICKETS_LIFETIME;
    t->count = TICKETS_COUNT;
    flow_lock_init(&t->lock);
    *ret_tickets = t;
    return FLOW_OK;
}

/* See <flow/tls_session.h>. */
struct flow_tls_tickets *
flow_tls_tickets_ref(struct flow_tls_tickets *t)
{
    (void)flow__add(&t->refs, 1);
    return t;
}

/* See <flow/tls_session.h>. */
void
flow_tls_tickets_unref(struct flow_tls_tickets *t)
{
    const struct flow_env *env;

    if (t == NULL || flow__sub(&t->refs, 1) != 1)
        return;
    env = t->env;
    flow_lock_fini(&t->lock);
    flow_wipe(t, sizeof(*t));
    flow_env_free(env, t, sizeof(*t));
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_tickets_set_limits(struct flow_tls_tickets *t, uint32_t seconds,
                            unsigned count)
{
    if (seconds == 0 || seconds > FLOW__SESSION_LIFE ||
        count > TICKETS_COUNT_MAX)
        return FLOW_E_INVAL;
    tickets_enter(t);
    t->lifetime = seconds;
    t->count = count;
    tickets_leave(t);
    return FLOW_OK;
}

static bool
tickets_have_twins(const uint8_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(keys + i * FLOW_TLS_TICKET_KEY_LEN,
                       keys + j * FLOW_TLS_TICKET_KEY_LEN,
                       FLOW__TICKET_NAME) == 0)
                return true;
    return false;
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_tickets_set_keys(struct flow_tls_tickets *t, const void *keys,
                          size_t count)
{
    const uint8_t *bytes = keys;

    if (count == 0 || count > FLOW_TLS_TICKET_KEYS_MAX ||
        tickets_have_twins(bytes, count))
        return FLOW_E_INVAL;
    tickets_enter(t);
    flow_wipe(t->key, sizeof(t->key));
    for (size_t i = 0; i < count; i++) {
        struct tickets_slot *slot = &t->key[i];
        const uint8_t *key = bytes + i * FLOW_TLS_TICKET_KEY_LEN;

        memcpy(slot->key.name, key, FLOW__TICKET_NAME);
        memcpy(slot->key.secret, key + FLOW__TICKET_NAME, FLOW__TICKET_SECRET);
        slot->seals_until = FLOW_NEVER;
        slot->opens_until = FLOW_NEVER;
    }
    t->keys = count;
    tickets_leave(t);
    return FLOW_OK;
}

static bool
tickets_has_ended(uint64_t until, uint64_t now)
{
    return until != FLOW_NEVER && now >= until;
}

/* Wipe the keys that have ended. */
static void
tickets_retire(struct flow_tls_tickets *t, uint64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->keys; i++)
        if (!tickets_has_ended(t->key[i].opens_until, now))
            t->key[kept++] = t->key[i];
    flow_wipe(&t->key[kept], (t->keys - kept) * sizeof(t->key[0]));
    t->keys = kept;
}

/* Make a key that seals from now on. */
static bool
tickets_make_key(struct flow_tls_tickets *t, uint64_t now)
{
    const uint64_t life = (uint64_t)t->lifetime * 1000000000u;
    struct tickets_slot slot;

    if (!t->env->random(t->env->ctx, &slot.key, sizeof(slot.key)))
        return false;
    slot.seals_until = flow_time_after(now, life);
    slot.opens_until = flow_time_after(slot.seals_until, life);
    if (t->keys < FLOW_TLS_TICKET_KEYS_MAX)
        t->keys++;
    memmove(&t->key[1], &t->key[0], (t->keys - 1) * sizeof(slot));
    t->key[0] = slot;
    flow_wipe(&slot, sizeof(slot));
    return true;
}

/* See tls/tickets.h. */
bool
flow__tickets_present_key(struct flow_tls_tickets *t,
                          struct flow__ticket_key *ret_key)
{
    uint64_t now = t->env->now(t->env->ctx);
    bool is_there = true;

    tickets_enter(t);
    tickets_retire(t, now);
    if (t->keys == 0 || tickets_has_ended(t->key[0].seals_until, now))
        is_there = tickets_make_key(t, now);
    if (is_there)
        *ret_key = t->key[0].key;
    tickets_leave(t);
    return is_there;
}

/* See tls/tickets.h. */
bool
flow__tickets_find_key(struct flow_tls_tickets *t,
                       const uint8_t name[FLOW__TICKET_NAME],
                       struct flow__ticket_key *ret_key)
{
    bool is_there = false;

    tickets_enter(t);
    tickets_retire(t, t->env->now(t->env->ctx));
    for (size_t i = 0; i < t->keys && !is_there; i++)
        if (memcmp(t->key[i].key.name, name, FLOW__TICKET_NAME) == 0) {
            *ret_key = t->key[i].key;
            is_there = true;
        }
    tickets_leave(t);
    return is_there;
}

/* See tls/tickets.h. */
void
flow__tickets_limits(struct flow_tls_tickets *t, uint32_t *ret_seconds,
                     unsigned *ret_count)
{
    tickets_enter(t);
    *ret_seconds = t->lifetime;
    *ret_count = t->count;
    tickets_leave(t);
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_config_set_tickets(struct flow_tls_config *c,
                            struct flow_tls_tickets *t, uint64_t epoch,
                            struct flow_error *ret_err)
{
    if (flow__config_is_frozen(c))
        return flow__config_refuse(ret_err, FLOW_E_BUSY,
                                   "the configuration is in use");
    if (!c->server)
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "tickets are given by a server");
    if (!flow__engine_can_resume())
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "this build of the library has no sessions");
    flow_tls_tickets_unref(c->tickets);
    c->tickets = t != NULL ? flow_tls_tickets_ref(t) : NULL;
    c->ticket_epoch = epoch;
    return FLOW_OK;
}

/* See tls/tickets.h. */
int64_t
flow__tickets_end(struct flow_tls_tickets *t, int64_t now, int64_t begun)
{
    uint32_t seconds;
    unsigned count;

    flow__tickets_limits(t, &seconds, &count);
    return now + (int64_t)seconds < begun + FLOW__SESSION_LIFE
               ? now + (int64_t)seconds
               : begun + FLOW__SESSION_LIFE;
}
