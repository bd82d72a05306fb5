/* SPDX-License-Identifier: ISC */
#include "fixture.h"
#include "mock_flow.h"
#include "unit.h"

struct flow__fake fake;

int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    return 0;
}

int
teardown(void **state)
{
    (void)state;
    return fake.live_blocks == 0 ? 0 : -1;
}

struct mock *
new_mock(void)
{
    return mock_new(&fake.env, MOCK_CAPS);
}
