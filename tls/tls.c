/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/atomic.h"
#include "lib/bits.h"
#include "tls/config.h"
#include "tls/tls_flow.h"

/*
 * The operations of a TLS flow: each takes its lock, calls the handshake, the
 * reader or the writer, and turns what they say into a status and an error
 * record of the flow.
 *
 * Order of locks: rx_lock, tx_lock, those of the flow below, the gate's, the
 * wait lock (tls/tls_flow.h, tls/gate.c).  A read holds rx_lock and takes
 * tx_lock for a moment only, to send an alert or a refusal; a write holds
 * tx_lock and never takes rx_lock.  None is held while anything is waited for.
 *
 * Invariant: before a lock is taken the process is checked, since in a forked
 * child a lock may be held for ever by a thread that is not there.
 */

#define BOTH ((uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE)

/* The handshake is over: its keys and facts move in, its memory goes. */
static void
tls_take_over(struct flow__tls *t)
{
    struct flow__takeover over;
    bool tls13;

    flow__handshake_take(t->hs, &over, &t->agreed);
    if (t->config->server || t->config->skip_verify || t->config->skip_name)
        t->agreed.verify_flags |= FLOW_VERIFY_NOT_CHECKED;
    tls13 = t->agreed.version == FLOW_TLS_1_3;
    t->writer.peer_limit = over.record_limit;
    t->writer.limit = flow__min(t->writer.limit, over.record_limit);
    flow__reader_start(&t->reader, &over.rx, &over.rx_secret, &over.ahead,
                       tls13);
    flow__writer_start(&t->writer, &over.tx, &over.tx_secret, tls13);
    flow_wipe(&over, sizeof(over));
    flow__handshake_free(t->hs);
    t->hs = NULL;
    flow__gate_leave(&t->pass);
}

/* See tls/tls_flow.h. */
bool
flow__tls_is_inherited(const struct flow__tls *t)
{
    uint32_t process = flow__load(&t->process);

    return process != 0 && process != flow_process();
}

static enum flow_status
tls_refuse_inherited(struct flow__tls *t, uint32_t dirs)
{
    struct flow_error err;

    (void)flow_error_set(&err, FLOW_E_INVAL, "tls", FLOW_DOMAIN_NONE, 0,
                         "a TLS connection is used by one process alone, and "
                         "another began it");
    err.hint = "fork before the handshake, and close the flow in the process "
               "that does not use it";
    return flow_fail_with(&t->base, dirs, &err);
}

static enum flow_status
tls_step_handshake(struct flow__tls *t, struct flow_error *err)
{
    enum flow_status st;

    if (flow__gate_has_dropped(&t->pass))
        return flow_error_set(err, FLOW_E_TIMEOUT, "tls", FLOW_DOMAIN_NONE, 0,
                              "the peer said nothing for so long that newer "
                              "connections took its place");
    st = flow__handshake_step(t->hs, t->base.lower,
                              flow_opening_is_late(&t->base), err);
    if (st == FLOW_AGAIN)
        flow__gate_hear(&t->pass, !flow__handshake_is_fresh(t->hs));
    return st;
}

static enum flow_status
tls_open(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow_error err;
    enum flow_status st = FLOW_OK;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, BOTH);
    flow__tls_lock(t);
    if (t->hs != NULL) {
        flow__store(&t->process, flow_process());
        st = tls_step_handshake(t, &err);
        if (st == FLOW_OK)
            tls_take_over(t);
        if (st < 0) {
            flow__gate_leave(&t->pass);
            st = flow_fail_with(f, BOTH, &err);
        }
    }
    flow__tls_unlock(t);
    return st;
}

/* A peer waits for the answer to its renegotiation request, and a caller
 * that only reads would never send one. */
static void
tls_push_refusal(struct flow__tls *t)
{
    flow_lock_acquire(&t->tx_lock);
    flow__writer_push_owed(&t->writer, t->base.lower);
    flow_lock_release(&t->tx_lock);
}

/* See tls/tls_flow.h. */
void
flow__tls_pass_owed(struct flow__tls *t)
{
    uint32_t owed = (t->reader.ask_update ? FLOW__OWED_ANSWER : 0) |
                    (t->reader.ask_refusal ? FLOW__OWED_REFUSAL : 0) |
                    (t->reader.ask_renewal ? FLOW__OWED_REQUEST : 0);

    if (owed != 0) {
        flow__writer_owe(&t->writer, owed);
        if ((owed & FLOW__OWED_REFUSAL) != 0)
            tls_push_refusal(t);
        flow_wake(&t->base, FLOW_WRITE);
    }
    t->reader.ask_update = false;
    t->reader.ask_refusal = false;
    t->reader.ask_renewal = false;
    if (flow__load(&t->writer.has_asked) != 0) {
        flow__store(&t->writer.has_asked, 0);
        flow__reader_expect_update(&t->reader);
    }
}

/* The connection is lost for both directions; the alert goes out once. */
static enum flow_status
tls_fail_reading(struct flow__tls *t, const struct flow__reader_result *r)
{
    struct flow_error err;

    (void)flow_error_set(&err, r->status, "tls", FLOW_DOMAIN_NONE, 0,
                         r->fault.text != NULL ? r->fault.text
                                               : "a record cannot be opened");
    err.alert_received = (int16_t)r->alert_received;
    flow_lock_acquire(&t->tx_lock);
    if (r->fault.alert != FLOW__ALERT_NONE &&
        flow__writer_alert(&t->writer, t->base.lower, r->fault.alert))
        err.alert_sent = (int16_t)r->fault.alert;
    t->writer.dead = true;
    (void)flow_fail_with(&t->base, FLOW_READ, &err);
    flow_lock_release(&t->tx_lock);
    /* Wake blocked writers: their next write fails. */
    flow_wake(&t->base, FLOW_WRITE);
    return r->status;
}

/* Under rx_lock: from what the reader says to what the flow answers. */
static enum flow_status
tls_finish_read(struct flow__tls *t, const struct flow__reader_result *r)
{
    struct flow *f = &t->base;

    flow__tls_pass_owed(t);
    if (r->status == FLOW_OK || r->status == FLOW_AGAIN ||
        r->status == FLOW_EOF)
        return r->status;
    /* No close_notify can come any more, whatever it was (C30). */
    t->gone = flow_status_is_sticky(r->status);
    if (r->status == FLOW_E_TRUNCATED && t->tolerate)
        return FLOW_EOF;
    if (r->from_lower)
        return flow_fail_lower(f, FLOW_READ, FLOW_READ, r->status);
    if (r->status == FLOW_E_TRUNCATED)
        return flow_fail(f, FLOW_READ, FLOW_E_TRUNCATED, FLOW_DOMAIN_NONE, 0,
                         "the connection ended without close_notify");
    if (r->status == FLOW_E_NOMEM)
        return flow_fail(f, FLOW_READ, FLOW_E_NOMEM, FLOW_DOMAIN_NONE, 0,
                         r->fault.text);
    return tls_fail_reading(t, r);
}

static enum flow_status
tls_readv(struct flow *f, const struct flow_vec *vec, size_t count,
          size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__reader_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, FLOW_READ);
    flow_lock_acquire(&t->rx_lock);
    r = flow__reader_read(&t->reader, f->lower, vec, count, ret_len);
    /* Bytes that came are delivered; what else there is comes next. */
    if (*ret_len > 0) {
        flow__tls_pass_owed(t);
        st = FLOW_OK;
    } else {
        st = tls_finish_read(t, &r);
    }
    flow_lock_release(&t->rx_lock);
    return st;
}

/* Under tx_lock. */
static enum flow_status
tls_finish_write(struct flow__tls *t, const struct flow__writer_result *r)
{
    struct flow *f = &t->base;
    struct flow_error why;

    switch (r->cause) {
    case FLOW__WRITER_OK:
        return r->status;
    case FLOW__WRITER_LOWER:
        return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, r->status);
    case FLOW__WRITER_EXHAUSTED:
        (void)flow_error_set(&why, FLOW_E_PROTO, "tls", FLOW_DOMAIN_NONE, 0,
                             "the key has sealed all the records it may, and "
                             "TLS 1.2 has no other: connect again");
        if (t->writer.spent)
            why.alert_sent = FLOW__WRITER_SPENT_ALERT;
        return flow_fail_with(f, FLOW_WRITE, &why);
    case FLOW__WRITER_MEMORY:
        return flow_fail(f, FLOW_WRITE, FLOW_E_NOMEM, FLOW_DOMAIN_NONE, 0,
                         "no memory to encrypt a record");
    case FLOW__WRITER_DEAD:
        /* The reading side knows why. */
        flow_get_error(f, FLOW_READ, &why);
        return why.status != FLOW_OK
                   ? flow_fail_with(f, FLOW_WRITE, &why)
                   : flow_fail(f, FLOW_WRITE, FLOW_E_PROTO, FLOW_DOMAIN_NONE, 0,
                               "the connection was given up");
    case FLOW__WRITER_CIPHER:
    default:
        return flow_fail(f, FLOW_WRITE, FLOW_E_SYS, FLOW_DOMAIN_NONE, 0,
                         "a record cannot be encrypted");
    }
}

static enum flow_status
tls_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
           uint32_t flags, size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, FLOW_WRITE);
    flow_lock_acquire(&t->tx_lock);
    r = flow__writer_write(&t->writer, f->lower, vec, count, flags, ret_len);
    st = tls_finish_write(t, &r);
    flow_lock_release(&t->tx_lock);
    return st;
}

static enum flow_status
tls_flush(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, FLOW_WRITE);
    flow_lock_acquire(&t->tx_lock);
    r = flow__writer_flush(&t->writer, f->lower);
    st = tls_finish_write(t, &r);
    if (st == FLOW_OK) {
        st = flow_flush(f->lower);
        if (st < 0)
            st = flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
    }
    flow_lock_release(&t->tx_lock);
    return st;
}

/*
 * Under tx_lock: close_notify is with the lower flow; its own end is next.
 *
 * A peer that has our close_notify may close at once.  If that beats the lower
 * flow's end, as it can when the lower flow is TLS too, nobody is left who
 * would want it, and nothing of ours is lost: it was flushed before.
 */
static enum flow_status
tls_end_lower(struct flow__tls *t)
{
    struct flow *f = &t->base;
    enum flow_status st = flow_flush(f->lower);

    if (st == FLOW_OK)
        t->settled = true;
    if (st == FLOW_OK && t->propagate &&
        (flow_caps(f->lower) & FLOW_CAP_HALF_CLOSE_WRITE) != 0) {
        st = flow_shutdown(f->lower, FLOW_WRITE);
        if (st == FLOW_E_CLOSED)
            st = FLOW_OK;
    }
    t->ended = st == FLOW_OK;
    return st < 0 ? flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st) : st;
}

static enum flow_status
tls_shutdown(struct flow *f, enum flow_dir dir)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, (uint32_t)dir);
    if (dir == FLOW_READ)
        return FLOW_OK;
    flow_lock_acquire(&t->tx_lock);
    r = flow__writer_close(&t->writer, f->lower);
    st = tls_finish_write(t, &r);
    if (st == FLOW_OK)
        st = tls_end_lower(t);
    flow_lock_release(&t->tx_lock);
    return st;
}

static enum flow_status
tls_lease_read(struct flow__tls *t, size_t want, struct flow_vec ret_span[2])
{
    struct flow *f = &t->base;
    struct flow__reader_result r;
    enum flow_status st;
    size_t len;

    if (want > FLOW__RECORD_PLAIN_MAX)
        return FLOW_E_INVAL;
    r = flow__reader_gather(&t->reader, f->lower, want);
    len = flow__stage_len(&t->reader.plain);
    /* What came before an end is lent first, though it is less (C12). */
    if (len == 0 || (len < want && !flow_status_is_sticky(r.status)))
        return tls_finish_read(t, &r);
    flow__tls_pass_owed(t);
    st = FLOW_OK;
    ret_span[0].base = flow__stage_data(&t->reader.plain);
    ret_span[0].len = len;
    return st;
}

static enum flow_status
tls_lease_write(struct flow__tls *t, size_t want, struct flow_vec ret_span[2])
{
    struct flow__writer_result r =
        flow__writer_lease(&t->writer, t->base.lower, want, &ret_span[0]);

    return tls_finish_write(t, &r);
}

static enum flow_status
tls_lease(struct flow *f, enum flow_dir dir, size_t want,
          struct flow_vec ret_span[2])
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow_lock *lock = dir == FLOW_READ ? &t->rx_lock : &t->tx_lock;
    enum flow_status st;

    ret_span[1].base = NULL;
    ret_span[1].len = 0;
    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, (uint32_t)dir);
    flow_lock_acquire(lock);
    st = dir == FLOW_READ ? tls_lease_read(t, want, ret_span)
                          : tls_lease_write(t, want, ret_span);
    flow_lock_release(lock);
    return st;
}

static enum flow_status
tls_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return tls_refuse_inherited(t, (uint32_t)dir);
    if (dir == FLOW_READ) {
        flow_lock_acquire(&t->rx_lock);
        flow__stage_consume(&t->reader.plain, used);
        flow_lock_release(&t->rx_lock);
        return FLOW_OK;
    }
    flow_lock_acquire(&t->tx_lock);
    r = flow__writer_commit(&t->writer, f->lower, used, flags);
    st = tls_finish_write(t, &r);
    flow_lock_release(&t->tx_lock);
    return st;
}

static enum flow_status
tls_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    bool clean;

    *ret_ahead = NULL;
    *ret_len = 0;
    if (flow__tls_is_inherited(t))
        return FLOW_E_INVAL;
    if (t->hs != NULL)
        return flow__handshake_is_fresh(t->hs) ? FLOW_OK : FLOW_E_BUSY;
    clean = t->reader.closed && flow__stage_len(&t->reader.plain) == 0 &&
            t->ended && !t->writer.dead;
    if (!clean)
        return FLOW_E_BUSY;
    *ret_ahead = flow__stage_data(&t->reader.cipher);
    *ret_len = flow__stage_len(&t->reader.cipher);
    return FLOW_OK;
}

/* An alert that waits for the lower flow is the only thing that a close still
 * sends: it tells the peer no more than a close without it, but why. */
static void
tls_offer_alert(struct flow__tls *t)
{
    struct flow *f = &t->base;

    if (flow__tls_is_inherited(t) || flow_is_aborted(f))
        return;
    if (t->hs != NULL)
        flow__handshake_part(t->hs, f->lower);
    else if (t->writer.dead || t->writer.spent)
        (void)flow__writer_flush(&t->writer, f->lower);
}

static void
tls_close(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    const struct flow_env *env = f->env;

    tls_offer_alert(t);
    flow__gate_leave(&t->pass);
    flow__handshake_free(t->hs);
    flow__reader_fini(&t->reader);
    flow__writer_fini(&t->writer);
    flow_env_free(env, t->agreed.peer_chain, t->agreed.peer_chain_len);
    flow_env_free(env, t->agreed.names, t->agreed.names_len);
    flow_base_fini(f);
    flow_tls_config_unref(t->config);
    flow_lock_fini(&t->rx_lock);
    flow_lock_fini(&t->tx_lock);
    flow_wipe(t, sizeof(*t));
    flow_env_free(env, t, sizeof(*t));
}

static enum flow_status
tls_control_rekey(struct flow__tls *t, int64_t value)
{
    if (value != 0 && value != 1)
        return FLOW_E_INVAL;
    if (t->hs != NULL)
        return FLOW_AGAIN;
    if (t->agreed.version != FLOW_TLS_1_3)
        return FLOW_E_NOTSUP;
    flow__writer_owe(&t->writer,
                     value == 1 ? FLOW__OWED_REQUEST : FLOW__OWED_UPDATE);
    return FLOW_OK;
}

static enum flow_status
tls_control_limit(struct flow__tls *t, int64_t value)
{
    if (value < 64 || value > FLOW__RECORD_PLAIN_MAX)
        return FLOW_E_INVAL;
    /* A record that is held back was given room for the old limit. */
    if (t->writer.has_open)
        return FLOW_E_BUSY;
    t->writer.limit = flow__min((size_t)value, t->writer.peer_limit);
    return FLOW_OK;
}

static enum flow_status
tls_control_propagate(struct flow__tls *t, bool on)
{
    /* Records that went down cannot be taken back. */
    if (t->settled && on != t->propagate)
        return FLOW_E_INVAL;
    t->propagate = on;
    return FLOW_OK;
}

static enum flow_status
tls_control_one(struct flow__tls *t, enum flow_control_key key, int64_t value)
{
    switch ((int)key) {
    case FLOW_CONTROL_REKEY:
        return tls_control_rekey(t, value);
    case FLOW_CONTROL_RECORD_LIMIT:
        return tls_control_limit(t, value);
    case FLOW_CONTROL_TRUNCATION:
        if (value != 0 && value != 1)
            return FLOW_E_INVAL;
        t->tolerate = value == 1;
        return FLOW_OK;
    case FLOW_CONTROL_PROPAGATE:
        if (value != 0 && value != 1)
            return FLOW_E_INVAL;
        return tls_control_propagate(t, value == 1);
    case FLOW_CONTROL_RELEASE:
        /* Stages hold nothing when they are empty: only those below may. */
    default:
        return FLOW_E_NOTSUP;
    }
}

static enum flow_status
tls_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct flow__tls *t = flow__tls_cast(f);
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return FLOW_E_INVAL;
    flow__tls_lock(t);
    st = tls_control_one(t, key, value);
    flow__tls_unlock(t);
    return st;
}

static const struct flow_ops tls_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tls",
    .readv = tls_readv,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .wait = flow__tls_wait,
    .close = tls_close,
    .open = tls_open,
    .flush = tls_flush,
    .lease = tls_lease,
    .commit = tls_commit,
    .detach = tls_detach,
    .query = flow__tls_query,
    .control = tls_control,
};

/* See tls/tls_flow.h. */
struct flow__tls *
flow__tls_of(struct flow *f)
{
    return f->ops == &tls_ops ? flow__tls_cast(f) : NULL;
}

static uint32_t
tls_caps_over(uint32_t below)
{
    const uint32_t kept = FLOW_CAP_DUPLEX | FLOW_CAP_FD;

    return (below & kept) | FLOW_CAP_HALF_CLOSE_WRITE |
           FLOW_CAP_HALF_CLOSE_READ | FLOW_CAP_ORDERLY_END |
           FLOW_CAP_AUTHENTICATED_END | FLOW_CAP_CONFIDENTIAL |
           FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE | FLOW_CAP_NEEDS_OPEN |
           FLOW_CAP_DETACH;
}

static enum flow_status
tls_no_memory(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                          "no memory for a TLS flow");
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_wrap(struct flow_tls_config *c, struct flow *lower,
               const char *server_name, uint32_t flags,
               struct flow__tls **ret_tls, struct flow_error *err)
{
    const struct flow_env *env = flow_get_env(lower);
    bool owned = (flags & FLOW_TLS_BORROW) == 0;
    struct flow__tls *t;
    enum flow_status st = flow_tls_config_freeze(c, err);

    if (st != FLOW_OK)
        return st;
    t = flow_env_alloc(env, sizeof(*t));
    if (t == NULL)
        return tls_no_memory(err);
    st = flow__handshake_new(c, env, server_name, &t->hs);
    if (st != FLOW_OK) {
        flow_env_free(env, t, sizeof(*t));
        return tls_no_memory(err);
    }
    st = flow_base_wrap(&t->base, &tls_ops, lower, owned,
                        tls_caps_over(flow_caps(lower)));
    if (st != FLOW_OK) {
        flow__handshake_free(t->hs);
        flow_env_free(env, t, sizeof(*t));
        return flow_error_set(err, st, "tls", FLOW_DOMAIN_NONE, 0,
                              "no flow can be made of these operations");
    }
    flow_lock_init(&t->rx_lock);
    flow_lock_init(&t->tx_lock);
    flow__reader_init(&t->reader, env, c->server, c->key_limit);
    flow__writer_init(&t->writer, env, FLOW__RECORD_PLAIN_MAX, c->key_limit);
    t->config = flow_tls_config_ref(c);
    t->propagate = owned;
    t->tolerate = c->tolerate_truncation;
    t->agreed.alpn = "";
    *ret_tls = t;
    return FLOW_OK;
}
