/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_TCP_ENDS_H
#define TEST_UNIT_TCP_ENDS_H

#include <flow/listener.h>
#include <flow/tcp.h>

/* TCP connections over loopback whose calls end after ten seconds. */

#define SEC UINT64_C(1000000000)

struct tcp_ends {
    struct flow *a; /* the dialling side */
    struct flow *b; /* the accepting side */
};

struct flow_listener *tcp_listen_on(const struct flow_env *env,
                                    const char *host,
                                    const struct flow_tcp_options *opt);
void tcp_address_of(struct flow_listener *l, char *text, size_t size);
uint16_t tcp_port_of(struct flow_listener *l);

struct tcp_ends tcp_connect_to(struct flow_listener *l, const char *host,
                               const struct flow_tcp_options *opt);
struct tcp_ends tcp_connected(void);
void tcp_close_ends(struct tcp_ends *e);

int tcp_fd_of(struct flow *f);
/* An integer option of the flow's socket. */
int tcp_option_of(struct flow *f, int level, int name);

/* A port without a listener: bound, so that no other program gets it, nor the
 * dialling socket.  Returns the socket that holds it. */
int tcp_hold_port(uint16_t *ret_port);

#endif
