/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_FIXTURE_H
#define TEST_UNIT_FIXTURE_H

#include "lib/plat/fake/fake.h"

/* The set-up of tests on the fake environment: it is made again before each
 * test, and a test that leaves memory allocated fails. */

extern struct flow__fake fake;

int setup(void **state);
int teardown(void **state);

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* A mock flow with every capability, which the test closes. */
struct mock *new_mock(void);

#endif
