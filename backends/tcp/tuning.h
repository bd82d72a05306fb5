/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_TCP_TUNING_H
#define BACKENDS_TCP_TUNING_H

#include <stdbool.h>

#include <flow/status.h>

struct flow_tcp_options;

/* How the system treats a connection, as options that were checked; 0 is the
 * system's own number. */
struct tcp_tuning {
    bool delay;
    bool keepalive;
    int idle;     /* s */
    int interval; /* s */
    int count;
};

/* FLOW_E_INVAL or FLOW_E_NOTSUP with err filled, unless NULL. */
enum flow_status flow__tcp_tuning_parse(const struct flow_tcp_options *opt,
                                        struct tcp_tuning *ret_tuning,
                                        struct flow_error *err);

void flow__tcp_tuning_apply(const struct tcp_tuning *tuning, int fd);

#endif
