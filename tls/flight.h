/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_FLIGHT_H
#define FLOW_TLS_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

#include "tls/order_kinds.h"
#include "tls/queue.h"
#include "tls/record.h"

/* Changes of level or of content type in one flight, the first included. */
#define FLOW__FLIGHT_PARTS 6
#define FLOW__LEVELS       3

/* Content of one type that goes out at one level. */
struct flow__flight_part {
    uint8_t type; /* an enum flow__content_type */
    enum flow__level level;
    size_t len;
};

/*
 * What we have to say before it is the peer's turn: content in the clear, in
 * order, until all of it is sealed at once.  So a flight leaves whole or not at
 * all, and a record number that was spent is never given back.
 */
struct flow__flight {
    struct flow__queue content;
    struct flow__flight_part part[FLOW__FLIGHT_PARTS];
    unsigned parts;
};

void flow__flight_init(struct flow__flight *flight, const struct flow_env *env);
/* Forget what it holds. */
void flow__flight_clear(struct flow__flight *flight);

/* FLOW_OK, FLOW_E_NOMEM, or FLOW_E_SYS for more than FLOW__FLIGHT_PARTS. */
enum flow_status flow__flight_add(struct flow__flight *flight, uint8_t type,
                                  enum flow__level level, const uint8_t *bytes,
                                  size_t len);

/*
 * Append it to out, in records with at most limit bytes of content; messages of
 * one part share records.  keys: by level, the plain one is not looked at.
 * FLOW_OK: the flight is empty.  Else out is as it was: FLOW_E_NOMEM or
 * FLOW_E_SYS, with numbers spent if *ret_spent.
 */
enum flow_status flow__flight_seal(struct flow__flight *flight,
                                   struct flow__record_keys *keys, size_t limit,
                                   struct flow__queue *out, bool *ret_spent);

#endif
