/* SPDX-License-Identifier: ISC */
#include "xen.h"

static void
xen_start(const char *command)
{
    (void)command;
    domain_start();
    shared_info_start();
    ring_start();
}

static void
xen_wait(uint64_t deadline)
{
    uint32_t port = ring_port();

    shared_info_poll(&port, 1, deadline);
    shared_info_clear(port);
}

/* There is no network card. */

static bool
xen_net_station(uint8_t ret_address[6])
{
    (void)ret_address;
    return false;
}

static bool
xen_net_send(const void *frame, size_t len)
{
    (void)frame;
    (void)len;
    return false;
}

static size_t
xen_net_receive(void *frame, size_t cap)
{
    (void)frame;
    (void)cap;
    return 0;
}

static const struct plat_net xen_net = {
    .station = xen_net_station,
    .send = xen_net_send,
    .receive = xen_net_receive,
};

const struct plat plat_xen = {
    .name = "xen",
    .start = xen_start,
    .put = ring_put,
    .get = ring_get,
    .now = shared_info_now,
    .wall = shared_info_wall,
    .wait = xen_wait,
    .exit = domain_exit,
    .net = &xen_net,
    .guest = &guest,
};
