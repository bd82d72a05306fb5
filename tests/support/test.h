/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_TEST_H
#define TEST_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <flow/status.h>

#include "env.h"

/*
 * What every test program begins with: cmocka, and guards around each test.
 * A test that leaks memory of its environment or a descriptor fails; one that
 * does not end in time is killed with its name on standard error.
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = { TEST(one), TEST(two) };
 *         return TEST_RUN(tests);
 *     }
 */

/* Run fn between guard_begin() and guard_end(). */
#define TEST(fn)                                                               \
    {                                                                          \
#fn, fn, guard_begin, guard_end, NULL                                  \
    }

/* Set up the process and run a list of tests. */
#define TEST_RUN(tests) cmocka_run_group_tests(tests, guard_process, NULL)

/* Seconds that one test may take; FLOW_TEST_SECONDS overrides. */
#define TEST_SECONDS 60

int guard_process(void **state);
int guard_begin(void **state);
int guard_end(void **state);

/* Set the name of the current case in a test that runs many, so that a failure
 * names it; NULL after the last. */
void guard_case(const char *name);

/* Number of open descriptors of this process. */
size_t guard_descriptors(void);

/* Fails with the names of both statuses. */
#define assert_status(got, expected)                                           \
    test_assert_status((got), (expected), #got, __FILE__, __LINE__)

/* A set of statuses, made with STATUS_BIT(). */
#define STATUS_BIT(status) (UINT32_C(1) << ((int)(status) + 16))
#define assert_status_in(got, set)                                             \
    test_assert_status_in((got), (set), #got, __FILE__, __LINE__)

void test_assert_status(enum flow_status got, enum flow_status expected,
                        const char *what, const char *file, int line);
void test_assert_status_in(enum flow_status got, uint32_t set, const char *what,
                           const char *file, int line);

/* Bytes that depend on the seed and on their position. */
void test_fill(void *buf, size_t len, uint64_t seed);
/* Fails unless the bytes are those of test_fill(seed) from position off on. */
void test_check(const void *buf, size_t len, uint64_t seed, uint64_t off);

/* The next of a sequence of random numbers; *state is the seed (splitmix64). */
uint64_t test_random(uint64_t *state);

#endif
