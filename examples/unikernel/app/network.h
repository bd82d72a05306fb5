/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_NETWORK_H
#define UNIKERNEL_APP_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/listener.h>

/* Both: false: it has printed why not. */

/* Brings up the network card with an address "10.0.2.15/24" and a router, or
 * NULL. */
bool network_start(const char *address, const char *router);
bool network_listen(uint16_t port, struct flow_listener **ret);

#endif
