/* SPDX-License-Identifier: ISC */
#include "tls/harvest.h"

#include "tls/config.h"

/*
 * A server of TLS 1.3 sends tickets when it likes.  The engine, which alone can
 * make a session of one, is kept until as many came as the configuration says,
 * until one fails, or until the time is over.
 *
 * Invariant: nothing that the engine writes after the handshake is sent: its
 * keys and numbers are those of the connection.
 *
 * Locks: the TLS flow's rx_lock; the store's lock is taken inside it.
 */

/* A server that gives tickets does so at once. */
#define HARVEST_WAIT UINT64_C(10000000000)

/* See tls/harvest.h. */
struct flow__harvest *
flow__harvest_new(const struct flow_env *env,
                  const struct flow_tls_config *config,
                  struct flow__session *model)
{
    struct flow__harvest *h = flow_env_alloc(env, sizeof(*h));

    if (h == NULL) {
        flow__session_free(model);
        return NULL;
    }
    h->env = env;
    h->engine = NULL;
    h->owns_engine = false;
    h->config = config;
    h->model = model;
    h->left = config->session_tickets;
    h->until = flow_time_after(env->now(env->ctx), HARVEST_WAIT);
    return h;
}

/* See tls/harvest.h. */
size_t
flow__harvest_footprint(const struct flow__harvest *h)
{
    return sizeof(*h) + h->model->size +
           (h->owns_engine ? flow__engine_footprint() : 0);
}

/* See tls/harvest.h. */
void
flow__harvest_free(struct flow__harvest *h)
{
    if (h == NULL)
        return;
    if (h->owns_engine)
        flow__engine_free(h->engine);
    flow__session_free(h->model);
    flow_env_free(h->env, h, sizeof(*h));
}

/* RFC 8446 4.6.1: the lifetime is the first field. */
static uint32_t
harvest_lifetime(const uint8_t *msg)
{
    return (uint32_t)msg[4] << 24 | (uint32_t)msg[5] << 16 |
           (uint32_t)msg[6] << 8 | msg[7];
}

static void
harvest_keep(struct flow__harvest *h, struct flow__span state, uint32_t life)
{
    const struct flow__session_parts parts = { h->model->name, h->model->chain,
                                               state };
    struct flow__session_facts facts = h->model->facts;
    int64_t now = flow__session_clock(h->env);
    struct flow__session *s;

    if (now < facts.begun)
        return;
    facts.ends = flow__session_end(&facts, parts.chain, now, life);
    if (facts.ends <= now)
        return;
    s = flow__session_new(flow__sessions_env(h->config->sessions), &facts,
                          &parts);
    if (s != NULL)
        flow__sessions_put(h->config->sessions, s);
}

/* See tls/harvest.h. */
bool
flow__harvest_take(struct flow__harvest *h, const uint8_t *msg, size_t len)
{
    uint8_t *state;
    size_t state_len;
    enum flow_status st;

    if (len > FLOW__SESSION_MESSAGE_MAX)
        return true;
    st = flow__engine_ticket(h->engine, msg, len, &state, &state_len);
    if (st == FLOW_OK) {
        const struct flow__span span = { state, state_len };

        harvest_keep(h, span, harvest_lifetime(msg));
        flow_wipe(state, state_len);
        flow_env_free(h->config->env, state, state_len);
        h->left--;
    }
    return st >= 0 && h->left > 0;
}

/* See tls/harvest.h. */
bool
flow__harvest_waits(const struct flow__harvest *h)
{
    return h->env->now(h->env->ctx) < h->until;
}
