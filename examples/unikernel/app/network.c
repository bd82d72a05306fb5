/* SPDX-License-Identifier: ISC */
#include "network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flow/lwip.h>

#include "../../common/cli.h"
#include "../core/calls.h"
#include "machine.h"

/*
 * lwIP on the network card of the core.  Frames are handed to it while the
 * machine idles.
 */

#define NETWORK_FRAME 1514

static void
network_take(void)
{
    static uint8_t frame[NETWORK_FRAME];
    long len;

    while ((len = syscall(CALL_NET_RECEIVE, frame, sizeof(frame))) > 0)
        if (flow_lwip_receive(frame, (size_t)len) != FLOW_OK)
            continue; /* a frame may be lost */
}

static bool
network_send(void *ctx, const struct flow_cvec *vec, size_t count)
{
    static uint8_t frame[NETWORK_FRAME];
    size_t len = 0, i;

    (void)ctx;
    for (i = 0; i < count; i++) {
        if (vec[i].len > sizeof(frame) - len)
            return false;
        memcpy(frame + len, vec[i].base, vec[i].len);
        len += vec[i].len;
    }
    return syscall(CALL_NET_SEND, frame, len) == 0;
}

/* "10.0.2.15/24" */
static bool
network_parse_address(const char *text, struct flow_lwip_interface *ret)
{
    const char *slash = strchr(text, '/');
    unsigned long bits;
    uint32_t mask;
    char host[16];
    char *end;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(host))
        return false;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || bits < 1 || bits > 32)
        return false;
    mask = htonl((uint32_t)(UINT64_MAX << (32 - bits)));
    memcpy(ret->netmask, &mask, sizeof(mask));
    return inet_pton(AF_INET, host, ret->address) == 1;
}

bool
network_start(const char *address, const char *router)
{
    static const struct machine_input input = { .take = network_take };
    struct flow_lwip_interface interface = { .send = network_send };
    struct flow_error err;

    if (!network_parse_address(address, &interface)) {
        cli_complain("ip: '%s' is not ADDRESS/BITS", address);
        return false;
    }
    if (router != NULL && inet_pton(AF_INET, router, interface.gateway) != 1) {
        cli_complain("router: '%s' is not an IPv4 address", router);
        return false;
    }
    if (syscall(CALL_NET_STATION, interface.hardware) != 0) {
        cli_complain("this machine has no network card");
        return false;
    }
    machine_set_input(&input);
    if (flow_lwip_start(NULL, &err) == FLOW_OK &&
        flow_lwip_attach(&interface, &err) == FLOW_OK)
        return true;
    cli_flow_error("cannot start the network", &err);
    return false;
}

bool
network_listen(uint16_t port, struct flow_listener **ret)
{
    struct flow_error err;

    if (flow_lwip_listen(NULL, "", port, NULL, ret, &err) == FLOW_OK)
        return true;
    cli_flow_error("cannot listen", &err);
    return false;
}
