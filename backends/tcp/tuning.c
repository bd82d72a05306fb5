/* SPDX-License-Identifier: ISC */
#include "backends/tcp/tuning.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <flow/tcp.h>

#include "backends/posix/fd_io.h"

/* The largest values that Linux accepts; other systems accept them too. */
#define TUNING_TIME_MAX  32767
#define TUNING_COUNT_MAX 127

#define TUNING_SECOND UINT64_C(1000000000)

/* The name in macOS. */
#if !defined(TCP_KEEPIDLE) && defined(TCP_KEEPALIVE)
#define TCP_KEEPIDLE TCP_KEEPALIVE
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
#define TUNING_HAVE_TIMES 1
#else
#define TUNING_HAVE_TIMES 0
#define TCP_KEEPIDLE      0
#define TCP_KEEPINTVL     0
#define TCP_KEEPCNT       0
#endif

static enum flow_status
tuning_refuse(struct flow_error *err, enum flow_status status, const char *text,
              const char *hint)
{
    flow_error_set(err, status, "tcp", FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    return status;
}

static bool
tuning_whole_seconds(uint64_t nsec, uint16_t *ret_seconds)
{
    if (nsec > TUNING_TIME_MAX * TUNING_SECOND)
        return false;
    *ret_seconds = (uint16_t)((nsec + TUNING_SECOND - 1) / TUNING_SECOND);
    return true;
}

enum flow_status
flow__tcp_tuning_parse(const struct flow_tcp_options *opt,
                       struct tcp_tuning *ret_tuning, struct flow_error *err)
{
    struct tcp_tuning t = { .delay = opt->delay };
    bool times;

    if (!tuning_whole_seconds(opt->keepalive_idle, &t.idle) ||
        !tuning_whole_seconds(opt->keepalive_interval, &t.interval))
        return tuning_refuse(err, FLOW_E_INVAL,
                             "a time between keepalive probes is too long",
                             "give at most 32767 seconds, in nanoseconds");
    if (opt->keepalive_count > TUNING_COUNT_MAX)
        return tuning_refuse(err, FLOW_E_INVAL, "too many keepalive probes",
                             "give at most 127");
    t.count = (uint8_t)opt->keepalive_count;
    times = t.idle != 0 || t.interval != 0 || t.count != 0;
    if (times && !TUNING_HAVE_TIMES)
        return tuning_refuse(err, FLOW_E_NOTSUP,
                             "this system has one time for keepalive probes",
                             "leave the times and the count at 0");
    t.keepalive = opt->keepalive || times;
    *ret_tuning = t;
    return FLOW_OK;
}

static void
tuning_set_number(int fd, int name, int value)
{
    if (value != 0)
        (void)flow__fd_set_option(fd, IPPROTO_TCP, name, value);
}

static bool
tuning_has_number(int fd, int name, int value)
{
    int is;

    return value == 0 ||
           (flow__fd_get_option(fd, IPPROTO_TCP, name, &is) == 0 &&
            is == value);
}

/* Some systems answer a bit that is not 1. */
static bool
tuning_has_switch(int fd, int level, int name, bool value)
{
    int is;

    return flow__fd_get_option(fd, level, name, &is) == 0 && (is != 0) == value;
}

bool
flow__tcp_tuning_is_applied(const struct tcp_tuning *tuning, int fd)
{
    return tuning_has_switch(fd, IPPROTO_TCP, TCP_NODELAY, !tuning->delay) &&
           tuning_has_switch(fd, SOL_SOCKET, SO_KEEPALIVE, tuning->keepalive) &&
           tuning_has_number(fd, TCP_KEEPIDLE, tuning->idle) &&
           tuning_has_number(fd, TCP_KEEPINTVL, tuning->interval) &&
           tuning_has_number(fd, TCP_KEEPCNT, tuning->count);
}

/* Ignores errors: a connection works without the options. */
void
flow__tcp_tuning_apply(const struct tcp_tuning *tuning, int fd)
{
    (void)flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, !tuning->delay);
    (void)flow__fd_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, tuning->keepalive);
    tuning_set_number(fd, TCP_KEEPIDLE, tuning->idle);
    tuning_set_number(fd, TCP_KEEPINTVL, tuning->interval);
    tuning_set_number(fd, TCP_KEEPCNT, tuning->count);
}
