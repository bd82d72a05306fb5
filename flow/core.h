/* SPDX-License-Identifier: ISC */
#ifndef FLOW_CORE_H
#define FLOW_CORE_H

#include <flow/backend.h>

/*
 * What the files of the core share: the state of a direction, the opening,
 * and the errors.  Index 0 is FLOW_READ, 1 is FLOW_WRITE.
 */

/* Both directions, as a mask. */
#define FLOW__BOTH ((uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE)

static inline size_t
flow__index(enum flow_dir dir)
{
    return dir == FLOW_WRITE;
}

static inline bool
flow__is_direction(enum flow_dir dir)
{
    return dir == FLOW_READ || dir == FLOW_WRITE;
}

/*
 * Begin a call of a direction: no other runs, no lease is out, it has not
 * ended.  FLOW_OK: flow__leave() must follow.  Anything else is what the call
 * returns, and its record is made.
 */
enum flow_status flow__enter(struct flow *f, enum flow_dir dir);
void flow__leave(struct flow *f, enum flow_dir dir);

/* Make sticky what is, and see that an error has a record; returns st. */
enum flow_status flow__settle(struct flow *f, enum flow_dir dir,
                              enum flow_status st);

/* End directions for good, unless they have ended already. */
void flow__end(struct flow *f, uint32_t dirs, enum flow_status st);

enum flow_status flow__state(const struct flow *f, enum flow_dir dir);

/* Drive the opening one step, unless another thread does (FLOW_AGAIN). */
enum flow_status flow__drive_open(struct flow *f);

/* When the opening must be over. */
uint64_t flow__open_deadline(const struct flow *f);

bool flow__is_due(const struct flow_env *env, uint64_t deadline);

/* Record an error that ends nothing, in this layer's name; returns st. */
enum flow_status flow__report(struct flow *f, enum flow_dir dir,
                              enum flow_status st, const char *text);

/* End both directions, and see that both have a record: the opening failed. */
void flow__settle_open(struct flow *f, enum flow_status st);

/* The end of the write direction, for flow_shutdown() and FLOW_FIN: f is open
 * and entered. */
enum flow_status flow__end_write(struct flow *f);

/* Take a flow off the one below, which then belongs to nobody here. */
void flow__leave_lower(struct flow *f);

/* The prefix filter, over a lower flow that it need not own. */
enum flow_status flow__prefix_new(struct flow *lower, bool owned,
                                  const void *bytes, size_t len,
                                  struct flow **ret_flow);

#endif
