/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_TCP_TUNING_H
#define BACKENDS_TCP_TUNING_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/status.h>

struct flow_tcp_options;

/* Socket options of a connection, checked; 0 is the system's default. */
struct tcp_tuning {
    bool delay;
    bool keepalive;
    uint8_t count;
    uint16_t idle;     /* s */
    uint16_t interval; /* s */
};

/* Checks the options.  FLOW_E_INVAL or FLOW_E_NOTSUP fills err, unless NULL. */
enum flow_status flow__tcp_tuning_parse(const struct flow_tcp_options *opt,
                                        struct tcp_tuning *ret_tuning,
                                        struct flow_error *err);

void flow__tcp_tuning_apply(const struct tcp_tuning *tuning, int fd);

/* Whether a socket has these options already. */
bool flow__tcp_tuning_is_applied(const struct tcp_tuning *tuning, int fd);

#endif
