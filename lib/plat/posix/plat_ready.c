/* SPDX-License-Identifier: ISC */
#include <poll.h>

#include "lib/plat.h"

uint32_t
flow__plat_fd_ready(int fd, uint32_t events)
{
    struct pollfd p = { .fd = fd };

    if ((events & FLOW_WAIT_IN) != 0)
        p.events |= POLLIN;
    if ((events & FLOW_WAIT_OUT) != 0)
        p.events |= POLLOUT;
    if (poll(&p, 1, 0) <= 0)
        return 0;
    if ((p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return events;
    return ((p.revents & POLLIN) != 0 ? FLOW_WAIT_IN : 0u) |
           ((p.revents & POLLOUT) != 0 ? FLOW_WAIT_OUT : 0u);
}
