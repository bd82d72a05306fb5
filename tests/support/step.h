/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_STEP_H
#define TEST_SUPPORT_STEP_H

#include "stacks.h"
#include "test.h"

/*
 * Both ends of a connection in one thread.  Each function does what its name
 * says on one flow, and lets the other end do what that needs; it fails the
 * test when nothing moves any more.
 */

/* Nothing may take longer than this, in ns. */
#define STEP_LIMIT UINT64_C(5000000000)

/* The other end of a flow. */
struct flow *step_other(const struct ends *e, const struct flow *f);

/* Sleep until either end can do something; interest 0 leaves one out. */
void step_wait(struct ends *e, uint32_t interest_a, uint32_t interest_b);

/* Open both; fails unless both do. */
void step_open(struct ends *e);
/* Drive both openings until neither moves; what each answered last. */
void step_open_status(struct ends *e, enum flow_status *ret_a,
                      enum flow_status *ret_b);

/* Write all to f while the other end reads nothing; must fit on the way. */
void step_put(struct ends *e, struct flow *f, const void *buf, size_t len);
/* Read exactly len bytes from f. */
void step_get(struct ends *e, struct flow *f, void *buf, size_t len);
/* Send len bytes of test_fill(seed) from f to the other end and check them. */
void step_pass(struct ends *e, struct flow *f, size_t len, uint64_t seed);
/* Flush f; the other end reads nothing. */
void step_flush(struct ends *e, struct flow *f);
/* shutdown(WRITE) on f to its end; the other end opens if it must. */
void step_shutdown(struct ends *e, struct flow *f);
/* What reading from f answers once nothing more arrives: AGAIN when it is
 * quiet.  Bytes that came are discarded and counted. */
enum flow_status step_drain(struct ends *e, struct flow *f, size_t *ret_len);
/* Read f to its end; that status. */
enum flow_status step_end(struct ends *e, struct flow *f, size_t *ret_len);
/* Write to f until it fails; that status. */
enum flow_status step_break(struct ends *e, struct flow *f);

/* What of the interest is ready, without waiting. */
uint32_t step_ready(struct flow *f, uint32_t interest);

/* A uint32_t query. */
uint32_t step_query(struct flow *f, enum flow_query_key key);

#endif
