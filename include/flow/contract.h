/* SPDX-License-Identifier: ISC */
#ifndef FLOW_CONTRACT_H
#define FLOW_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief The contract suite, for authors of backends.
 *
 * The library libflow-contract (`pkg-config libflow-contract`) has one test
 * for each clause of docs/contract.md and runs them over flows of any kind.  A
 * backend makes two flows that are connected to each other, and the suite
 * checks them bare, under faults, under every filter of libflow and under TLS.
 * A sweep carries messages of many lengths from any offset of the caller's
 * memory to any other, under every buffer policy.
 *
 * A program of one call is the test of a backend:
 *
 * <!-- fragment -->
 * @code
 * static enum flow_status
 * make(void *ctx, const struct flow_env *env, struct flow **ret_a,
 *      struct flow **ret_b);
 *
 * static const struct flow_contract_backend backend = {
 *     .name = "mine",
 *     .make = make,
 *     .caps = FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_ORDERLY_END,
 *     .abandoned = FLOW_CONTRACT_STATUS(FLOW_E_TRUNCATED),
 *     .aborted = FLOW_CONTRACT_STATUS(FLOW_E_TRUNCATED),
 * };
 *
 * int
 * main(int argc, char **argv)
 * {
 *     return flow_contract_main(argc, argv, &backend, 1);
 * }
 * @endcode
 *
 * The suite needs POSIX: it looks for leaked descriptors and ends a test that
 * hangs with a signal.
 */

/** A status as a bit of a set. */
#define FLOW_CONTRACT_STATUS(status) (UINT32_C(1) << ((int)(status) + 16))

/** @brief A backend, as the suite sees it. */
struct flow_contract_backend {
    /** Short and without blanks; part of the name of every test. */
    const char *name;
    /**
     * Make two flows that are connected to each other.
     *
     * The suite opens them.  All their memory must come from @p env, which
     * counts it, makes it fail and has a clock that can stand still; @p env
     * lives as long as the process.  Some tests use each flow in a thread of
     * its own.  Returns #FLOW_OK, and the suite owns both flows; anything else
     * fails the test.
     */
    enum flow_status (*make)(void *ctx, const struct flow_env *env,
                             struct flow **ret_a, struct flow **ret_b);
    /** Given to @p make; may be NULL. */
    void *ctx;
    /** Exactly what flow_caps() answers for both flows. */
    uint32_t caps;
    /**
     * A set of FLOW_CONTRACT_STATUS() bits: the statuses that a reader may get
     * after the last byte when its peer was closed without flow_shutdown().
     */
    uint32_t abandoned;
    /** The same when the peer called flow_abort() before it closed. */
    uint32_t aborted;
    /**
     * Closing a flow with unread input may destroy what it sent before, as
     * TCP does.
     */
    bool close_destroys;
    /** Calls from a process that inherited the flow answer #FLOW_E_INVAL
     * (C80). */
    bool one_process;
};

/**
 * @brief Run the suite; what main() of a test program returns.
 *
 * The arguments are "[--list] [--sweep[=STRIDE]] [NAME [PATTERN]]".  With NAME
 * only that backend is tested, with PATTERN only tests whose names match it,
 * where a star stands for any characters: "c24*", "*[tls13/mine]".  --list
 * prints the names of the tests.  --sweep runs the sweep instead, with every
 * STRIDE-th offset of a page (61, if it is not given; 1 takes minutes).
 * The environment variable FLOW_TEST_SECONDS is the time limit of one test, in
 * seconds.
 *
 * A test that fails names the assertion.  A test also fails if it leaks memory
 * of its environment or a descriptor.
 *
 * @param[in] argc      Of main().
 * @param[in] argv      Of main().
 * @param[in] backends  What to test.
 * @param[in] count     How many, at least 1.
 * @return 0 when every test passed, 1 when one failed, 2 for wrong usage, an
 * unknown name, or a pattern that matches no test.
 * @par Threads
 * Once per process; the suite takes SIGALRM and starts threads of its own.
 * @par Since
 * 0.1
 */
int flow_contract_main(int argc, char **argv,
                       const struct flow_contract_backend *backends,
                       size_t count);

#ifdef __cplusplus
}
#endif

#endif
