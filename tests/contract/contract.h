/* SPDX-License-Identifier: ISC */
#ifndef TEST_CONTRACT_H
#define TEST_CONTRACT_H

#include "stacks.h"
#include "step.h"
#include "test.h"

/*
 * One function per clause of docs/contract.md, run on every stack.  Its
 * argument is two ends that are not open yet, and the caller closes them; an
 * end that the function has closed is NULL.
 */
struct clause {
    const char *name;
    void (*check)(struct ends *e);
};

#define CLAUSE(fn)                                                             \
    {                                                                          \
#fn, fn                                                                \
    }

/* Each list ends with a clause without a name. */
extern const struct clause clauses_bytes[];   /* C01 to C23 */
extern const struct clause clauses_ends[];    /* C24 to C33 */
extern const struct clause clauses_wait[];    /* C34 to C51 */
extern const struct clause clauses_lease[];   /* C34, of refused leases */
extern const struct clause clauses_stack[];   /* C52 to C66, C81 */
extern const struct clause clauses_built[];   /* C67 to C72 */
extern const struct clause clauses_process[]; /* C79, C80 */

/* Whether every layer of the stack knows exactly when a call succeeds.  A
 * fault filter does not by design; TLS does not while it has only part of a
 * record. */
bool contract_exact(const struct stack *s);

/* Write test_fill(seed) to f until it accepts no more; the number of bytes that
 * it accepted. */
size_t contract_fill(struct flow *f, uint64_t seed);

/* Read len bytes from f and compare them with test_fill(seed). */
void contract_take(struct ends *e, struct flow *f, size_t len, uint64_t seed);

/* Whether f has shutdown(WRITE).  If not, shutdown(WRITE) must answer
 * FLOW_E_NOTSUP. */
bool contract_half_close(struct flow *f);

/* End f's direction with shutdown(WRITE), or by closing f if that is not
 * supported. */
void contract_end(struct ends *e, struct flow *f);

#endif
