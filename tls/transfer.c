/* SPDX-License-Identifier: ISC */
#include "lib/atomic.h"
#include "tls/tls_flow.h"

/*
 * The operations that move data: each takes its lock, calls the reader or the
 * writer, and turns the result into a status and an error record of the flow.
 *
 * Locks, in the order of tls/tls_flow.h: a read holds rx_lock and takes tx_lock
 * for a moment only, to send an alert or a refusal.  A write holds tx_lock and
 * never takes rx_lock.  Neither is held while anything is waited for.
 *
 * Invariants: before a lock is taken the process is checked, since in a forked
 * child a lock may be held for ever by a thread that does not exist there.  A
 * fatal error of reading ends writing too; the writer is dead from then on.
 */

#define TRANSFER_SECOND UINT64_C(1000000000) /* ns */

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_refuse_inherited(struct flow__tls *t, uint32_t dirs)
{
    struct flow_error err;

    (void)flow_error_set(&err, FLOW_E_INVAL, "tls", FLOW_DOMAIN_NONE, 0,
                         "a TLS connection is used by one process alone, and "
                         "another began it");
    err.hint = "fork before the handshake, and close the flow in the process "
               "that does not use it";
    return flow_fail_with(&t->base, dirs, &err);
}

/* A peer waits for the answer to its renegotiation request, and a caller
 * that only reads would never send one. */
static void
transfer_push_refusal(struct flow__tls *t)
{
    flow__latch_acquire(&t->tx_lock);
    flow__writer_push_owed(&t->writer, t->base.lower);
    flow__latch_release(&t->tx_lock);
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
            transfer_push_refusal(t);
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

/* What a client can do about an alert of its server.  In TLS 1.3 a server
 * decides about the client's certificate after the client has completed its
 * handshake, so the alert comes in place of data. */
static const char *
transfer_hint(const struct flow__tls *t, int alert)
{
    if (t->reader.server)
        return NULL;
    switch (alert) {
    case FLOW__ALERT_CERTIFICATE_REQUIRED:
        return "the server requires a client certificate, and this client has "
               "none that the server asked for; add one with "
               "flow_tls_config_add_keypair_file()";
    case FLOW__ALERT_BAD_CERTIFICATE:
    case FLOW__ALERT_UNSUPPORTED_CERTIFICATE:
    case FLOW__ALERT_CERTIFICATE_REVOKED:
    case FLOW__ALERT_CERTIFICATE_EXPIRED:
    case FLOW__ALERT_CERTIFICATE_UNKNOWN:
    case FLOW__ALERT_UNKNOWN_CA:
        return "the server refused the client certificate";
    default:
        return NULL;
    }
}

/* The connection is lost for both directions; the alert goes out once. */
static enum flow_status
transfer_fail_reading(struct flow__tls *t, const struct flow__reader_result *r)
{
    struct flow_error err;

    (void)flow_error_set(&err, r->status, "tls", FLOW_DOMAIN_NONE, 0,
                         r->fault.text != NULL ? r->fault.text
                                               : "a record cannot be opened");
    err.alert_received = (int16_t)r->alert_received;
    err.hint = transfer_hint(t, r->alert_received);
    flow__latch_acquire(&t->tx_lock);
    if (r->fault.alert != FLOW__ALERT_NONE &&
        flow__writer_alert(&t->writer, t->base.lower, r->fault.alert))
        err.alert_sent = (int16_t)r->fault.alert;
    t->writer.dead = true;
    (void)flow_fail_with(&t->base, FLOW_READ, &err);
    flow__latch_release(&t->tx_lock);
    /* Wake blocked writers: their next write fails. */
    flow_wake(&t->base, FLOW_WRITE);
    return r->status;
}

/* Under rx_lock: from what the reader says to what the flow answers. */
static enum flow_status
transfer_finish_read(struct flow__tls *t, const struct flow__reader_result *r)
{
    struct flow *f = &t->base;

    flow__tls_pass_owed(t);
    if (r->status == FLOW_OK || r->status == FLOW_AGAIN ||
        r->status == FLOW_EOF)
        return r->status;
    /* No close_notify can come any more, whatever it was (C30). */
    t->reader.gone = flow_status_is_sticky(r->status);
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
    return transfer_fail_reading(t, r);
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_readv(struct flow *f, const struct flow_vec *vec, size_t count,
                size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__reader_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, FLOW_READ);
    flow__latch_acquire(&t->rx_lock);
    r = flow__reader_read(&t->reader, f->lower, vec, count, ret_len);
    /* Bytes that came are delivered; what else there is comes next. */
    if (*ret_len > 0) {
        flow__tls_pass_owed(t);
        st = FLOW_OK;
    } else {
        st = transfer_finish_read(t, &r);
    }
    flow__latch_release(&t->rx_lock);
    return st;
}

/* Under tx_lock. */
static enum flow_status
transfer_finish_write(struct flow__tls *t, const struct flow__writer_result *r)
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

/* Under tx_lock: after a time in which nothing was written, the first records
 * are small again.  The clock is read only where that is configured. */
static void
transfer_note_write(struct flow__tls *t)
{
    const struct flow_tls_config *c = t->config;
    uint16_t now;

    if (c->first_idle == 0 || c->first_count == 0)
        return;
    now = (uint16_t)(flow_now(&t->base) / TRANSFER_SECOND);
    if ((uint16_t)(now - t->writer.written_at) > c->first_idle)
        t->writer.first_left = c->first_count;
    t->writer.written_at = now;
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                 uint32_t flags, size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, FLOW_WRITE);
    flow__latch_acquire(&t->tx_lock);
    transfer_note_write(t);
    r = flow__writer_write(&t->writer, f->lower, vec, count, flags, ret_len);
    st = transfer_finish_write(t, &r);
    flow__latch_release(&t->tx_lock);
    return st;
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_flush(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, FLOW_WRITE);
    flow__latch_acquire(&t->tx_lock);
    r = flow__writer_flush(&t->writer, f->lower);
    st = transfer_finish_write(t, &r);
    if (st == FLOW_OK) {
        st = flow_flush(f->lower);
        if (st < 0)
            st = flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
    }
    flow__latch_release(&t->tx_lock);
    return st;
}

/*
 * Under tx_lock: close_notify is with the lower flow; its own end is next.
 *
 * A peer that has our close_notify may close at once.  If that beats the lower
 * flow's end, as it can when the lower flow is TLS too, that end has no reader,
 * and no byte of ours is lost: they were flushed before.
 */
static enum flow_status
transfer_end_lower(struct flow__tls *t)
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

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_shutdown(struct flow *f, enum flow_dir dir)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, (uint32_t)dir);
    if (dir == FLOW_READ)
        return FLOW_OK;
    flow__latch_acquire(&t->tx_lock);
    r = flow__writer_close(&t->writer, f->lower);
    st = transfer_finish_write(t, &r);
    if (st == FLOW_OK)
        st = transfer_end_lower(t);
    flow__latch_release(&t->tx_lock);
    return st;
}

static enum flow_status
transfer_lease_read(struct flow__tls *t, size_t want,
                    struct flow_vec ret_span[2])
{
    struct flow *f = &t->base;
    struct flow__reader_result r;
    enum flow_status st;
    size_t len;

    if (want > FLOW__RECORD_PLAIN_MAX)
        return FLOW_E_INVAL;
    r = flow__reader_gather(&t->reader, f->lower, want);
    len = flow__queue_len(&t->reader.plain);
    /* What came before an end is lent first, though it is less (C12). */
    if (len == 0 || (len < want && !flow_status_is_sticky(r.status)))
        return transfer_finish_read(t, &r);
    flow__tls_pass_owed(t);
    st = FLOW_OK;
    ret_span[0].base = flow__queue_data(&t->reader.plain);
    ret_span[0].len = len;
    return st;
}

static enum flow_status
transfer_lease_write(struct flow__tls *t, size_t want,
                     struct flow_vec ret_span[2])
{
    struct flow__writer_result r =
        flow__writer_lease(&t->writer, t->base.lower, want, &ret_span[0]);

    return transfer_finish_write(t, &r);
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_lease(struct flow *f, enum flow_dir dir, size_t want,
                struct flow_vec ret_span[2])
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__latch *lock = dir == FLOW_READ ? &t->rx_lock : &t->tx_lock;
    enum flow_status st;

    ret_span[1].base = NULL;
    ret_span[1].len = 0;
    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, (uint32_t)dir);
    flow__latch_acquire(lock);
    st = dir == FLOW_READ ? transfer_lease_read(t, want, ret_span)
                          : transfer_lease_write(t, want, ret_span);
    flow__latch_release(lock);
    return st;
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__writer_result r;
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, (uint32_t)dir);
    if (dir == FLOW_READ) {
        flow__latch_acquire(&t->rx_lock);
        flow__queue_consume(&t->reader.plain, used);
        flow__latch_release(&t->rx_lock);
        return FLOW_OK;
    }
    flow__latch_acquire(&t->tx_lock);
    r = flow__writer_commit(&t->writer, f->lower, used, flags);
    st = transfer_finish_write(t, &r);
    flow__latch_release(&t->tx_lock);
    return st;
}
