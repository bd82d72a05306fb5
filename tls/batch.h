/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_BATCH_H
#define FLOW_TLS_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <flow/flow.h>

#include "tls/queue.h"
#include "tls/record.h"

/* Plaintext that becomes records of application data. */
struct flow__batch {
    struct flow__record_keys *keys;
    const struct flow_cvec *vec;
    size_t off;       /* of the first byte in the vector */
    size_t len;       /* bytes from there on, at least one */
    size_t limit;     /* plaintext bytes per record */
    unsigned most;    /* records that may be sealed, at least one */
    size_t room;      /* bytes of them in a queue, if one record fits */
    unsigned records; /* that were sealed; 0 at first */
    size_t done;      /* bytes of them; 0 at first */
};

/*
 * Seal records straight into private memory of the lower flow.  false: it lends
 * none now, and nothing is done.  true: *ret_sealed is FLOW_OK if at least one
 * record was sealed, else as flow__record_seal(); *ret_taken is what the lower
 * flow answered then.  If that is sticky, done is 0.
 */
bool flow__batch_to_lower(struct flow__batch *b, struct flow *lower,
                          enum flow_status *ret_sealed,
                          enum flow_status *ret_taken);

/* Seal records after those in a queue, as many as room has bytes for.  FLOW_OK:
 * at least one was sealed.  Otherwise none was: FLOW_E_NOMEM, or as
 * flow__record_seal(). */
enum flow_status flow__batch_to_queue(struct flow__batch *b,
                                      struct flow__queue *out);

/* Count only the records that the first len bytes hold whole. */
void flow__batch_keep(struct flow__batch *b, size_t len);

#endif
