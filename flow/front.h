/* SPDX-License-Identifier: ISC */
#ifndef FLOW_FRONT_H
#define FLOW_FRONT_H

#include <flow/flow.h>

/* What flow.c has for other files of flow/. */

/* Segments of a vector, at most. */
#define FLOW__SEGMENTS 1024u

/* Whether a write has proper arguments: FLOW_OK, or what it returns, with its
 * record made. */
enum flow_status flow__check_write(struct flow *f, const struct flow_cvec *vec,
                                   size_t count, uint32_t flags);

/* The end of the write direction, for flow_shutdown() and FLOW_FIN: f is open
 * and entered. */
enum flow_status flow__end_write(struct flow *f);

#endif
