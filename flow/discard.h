/* SPDX-License-Identifier: ISC */
#ifndef FLOW_DISCARD_H
#define FLOW_DISCARD_H

#include <flow/flow.h>

/* What discard.c has for other files of flow/. */

/*
 * Discard at most len bytes of what came after flow_shutdown(FLOW_READ).
 * FLOW_OK: some, and *ret_len says how many.  FLOW_AGAIN: there is nothing now,
 * or another thread is at it.  Anything else: how the input ended; it is
 * answered again.
 */
enum flow_status flow__discard(struct flow *f, size_t len, size_t *ret_len);

/* The wait operation of an open flow whose reading was shut down: what is
 * ready of the interest, which has no FLOW_READY_READ.  Input is discarded and
 * is among the sources, so that a peer that sends before it reads goes on. */
uint32_t flow__discard_wait(struct flow *f, uint32_t interest,
                            struct flow_wait_set *set);

#endif
