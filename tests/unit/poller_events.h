/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_POLLER_EVENTS_H
#define TEST_UNIT_POLLER_EVENTS_H

#include <flow/poller.h>

/* The set-up of a test with a poller: *state points at the pointer to it. */
int poller_setup(void **state);
int poller_teardown(void **state);

#define POLLER_TEST(fn)                                                        \
    cmocka_unit_test_setup_teardown(fn, poller_setup, poller_teardown)

/* The poller has one event, of this flow; NULL: it has none. */
void poller_expect(struct flow_poller *p, const struct flow *f);

/* Whether the poller has no event, and the system none for its descriptor. */
bool poller_is_quiet(struct flow_poller *p);

#endif
