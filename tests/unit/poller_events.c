/* SPDX-License-Identifier: ISC */
#include <poll.h>

#include "poller_events.h"
#include "unit.h"

int
poller_setup(void **state)
{
    static struct flow_poller *p;

    *state = &p;
    return flow_poller_new(NULL, &p) == FLOW_OK ? 0 : -1;
}

int
poller_teardown(void **state)
{
    flow_poller_free(*(struct flow_poller **)*state);
    return 0;
}

void
poller_expect(struct flow_poller *p, const struct flow *f)
{
    const struct flow_poller_event *ev;
    size_t n;

    assert_int_equal(flow_poller_wait(p, 8, FLOW_NOW, &ev, &n),
                     f != NULL ? FLOW_OK : FLOW_E_TIMEOUT);
    assert_int_equal(n, f != NULL);
    if (f != NULL)
        assert_ptr_equal(ev[0].flow, f);
}

bool
poller_is_quiet(struct flow_poller *p)
{
    struct pollfd fd = { .fd = flow_poller_fd(p), .events = POLLIN };

    poller_expect(p, NULL);
    return fd.fd < 0 || poll(&fd, 1, 0) == 0;
}
