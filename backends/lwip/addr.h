/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_LWIP_ADDR_H
#define BACKENDS_LWIP_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/status.h>

#include <lwip/ip_addr.h>

/* Of "255.255.255.255:65535" with its NUL. */
#define LWIP_ADDR_SIZE 22
/* Of an address without port. */
#define LWIP_HOST_SIZE 16

/* Parses four decimal numbers with dots; false: not an address. */
bool flow__lwip_addr_parse(const char *text, ip_addr_t *ret_addr);

/* Writes "A.B.C.D:PORT". */
void flow__lwip_addr_format(const ip_addr_t *addr, uint16_t port,
                            char ret_text[LWIP_ADDR_SIZE]);

/* Parses "//HOST:PORT".  On FLOW_E_INVAL err, unless NULL, says what is
 * allowed. */
enum flow_status flow__lwip_addr_split(const char *rest,
                                       char ret_host[LWIP_HOST_SIZE],
                                       uint16_t *ret_port,
                                       struct flow_error *err);

#endif
