/* SPDX-License-Identifier: ISC */
#include "tls/linger.h"

/*
 * Invariants: the lower flow is ended before anything is discarded, so that a
 * peer that waits for the end of the connection sees it at once.  discarded
 * never exceeds its limit, so that a peer cannot keep us busy.
 *
 * Locks: as in handshake.c.
 */

/* Twice the early data that a server skips: a client that is refused has not
 * sent more before it reads the alert, unless it means to. */
#define LINGER_BYTES_MAX 131072u

/* See tls/linger.h. */
bool
flow__linger_step(struct flow__linger *linger, struct flow *lower)
{
    enum flow_status st;
    size_t n;

    if (!linger->has_ended) {
        st = flow_shutdown(lower, FLOW_WRITE);
        if (st != FLOW_OK)
            return st != FLOW_AGAIN;
        linger->has_ended = true;
    }
    if ((flow_caps(lower) & FLOW_CAP_RESETS_UNREAD) == 0)
        return true;
    do {
        st = flow_read(lower, NULL, LINGER_BYTES_MAX - linger->discarded, &n);
        linger->discarded += (uint32_t)n;
    } while (st == FLOW_OK && linger->discarded < LINGER_BYTES_MAX);
    return st != FLOW_AGAIN;
}

/* See tls/linger.h. */
uint32_t
flow__linger_wants(const struct flow__linger *linger)
{
    return linger->has_ended ? FLOW_READY_READ : FLOW_READY_FLUSH;
}
