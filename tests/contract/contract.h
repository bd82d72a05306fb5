/* SPDX-License-Identifier: ISC */
#ifndef TEST_CONTRACT_H
#define TEST_CONTRACT_H

#include "stacks.h"
#include "step.h"
#include "test.h"

/*
 * One function per clause of docs/contract.md, run on every stack.  It is
 * given two ends that are not open yet and leaves them to the caller; an end
 * that it has closed is NULL.
 */
struct clause {
    const char *name;
    void (*check)(struct ends *e);
};

#define CLAUSE(fn)                                                             \
    {                                                                          \
#fn, fn                                                                \
    }

/* Lists end with a clause without a name. */
extern const struct clause clauses_bytes[];   /* C01 to C23 */
extern const struct clause clauses_ends[];    /* C24 to C33 */
extern const struct clause clauses_wait[];    /* C34 to C51 */
extern const struct clause clauses_lease[];   /* C34, of refused leases */
extern const struct clause clauses_stack[];   /* C52 to C66, C81 */
extern const struct clause clauses_built[];   /* C67 to C72 */
extern const struct clause clauses_process[]; /* C79, C80 */

/* Whether every layer knows exactly when a call succeeds.  A fault filter does
 * not by design, and TLS may find half a record only. */
bool contract_exact(const struct stack *s);

/* Write to f until it takes no more; how many bytes of test_fill(seed), from
 * position off on, it accepted. */
size_t contract_fill(struct ends *e, struct flow *f, uint64_t seed);

/* Read len bytes of test_fill(seed) from f and compare them. */
void contract_take(struct ends *e, struct flow *f, size_t len, uint64_t seed);

/* Whether shutdown(WRITE) is there; where it is not, it says so. */
bool contract_half_close(struct flow *f);

/* End f's direction as it can: with shutdown(WRITE), else by closing it. */
void contract_end(struct ends *e, struct flow *f);

#endif
