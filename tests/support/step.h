/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_STEP_H
#define TEST_SUPPORT_STEP_H

#include "stacks.h"
#include "test.h"

/*
 * Both ends of a connection driven in one thread.  Each function operates on
 * one flow and lets the other end do what that requires.  It fails the test if
 * neither side can make progress.
 */

/* Longest wait in ns. */
#define STEP_LIMIT UINT64_C(5000000000)

/* The other end of a flow. */
struct flow *step_other(const struct ends *e, const struct flow *f);

/* Sleep until either end is ready; interest 0 ignores that end. */
void step_wait(struct ends *e, uint32_t interest_a, uint32_t interest_b);

/* Open both; the test fails unless both succeed. */
void step_open(struct ends *e);
/* Drive both openings until one has succeeded and the other too, or one has
 * failed; the last status of each. */
void step_open_status(struct ends *e, enum flow_status *ret_a,
                      enum flow_status *ret_b);

/* Write all of buf to f and flush; the other end reads nothing, so buf must fit
 * into the buffers on the way. */
void step_put(struct ends *e, struct flow *f, const void *buf, size_t len);
/* Read exactly len bytes from f. */
void step_get(struct ends *e, struct flow *f, void *buf, size_t len);
/* Send len bytes of test_fill(seed) from f to the other end and compare
 * them. */
void step_pass(struct ends *e, struct flow *f, size_t len, uint64_t seed);
/* Flush f; the other end reads nothing. */
void step_flush(struct ends *e, struct flow *f);
/* Complete shutdown(WRITE) on f; the other end is opened if necessary. */
void step_shutdown(struct ends *e, struct flow *f);
/* Read and discard bytes until nothing more arrives; the last status: AGAIN if
 * the flow did not end.  The bytes are counted. */
enum flow_status step_drain(struct ends *e, struct flow *f, size_t *ret_len);
/* Read f until it ends; that status. */
enum flow_status step_end(struct ends *e, struct flow *f, size_t *ret_len);
/* Write to f until it fails; that status. */
enum flow_status step_break(struct ends *e, struct flow *f);

/* Whether an event of the set was signalled since it was filled: a foreign
 * event loop that sleeps on the set would be woken. */
bool step_signalled(const struct flow_wait_set *set);

/* The ready part of the interest, without waiting. */
uint32_t step_ready(struct flow *f, uint32_t interest);

/* The value of a uint32_t query. */
uint32_t step_query(struct flow *f, enum flow_query_key key);

#endif
