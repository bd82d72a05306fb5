/* SPDX-License-Identifier: ISC */
#include "backends/tcp/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <flow/backend.h>
#include <flow/posix.h>

#include "backends/posix/fd_io.h"

/*
 * Resolving a name and connecting to one of its addresses, as RFC 8305 says.
 *
 * - Addresses are tried in the order of addr[]; `next` is the first one not
 *   tried.  The families alternate.
 * - At most TCP_DIAL_PARALLEL attempts run.  The next one starts at next_time,
 *   at once if one fails, and in the place of the oldest if all places are used
 *   and that one is TCP_DIAL_PATIENCE old.
 * - The first attempt that connects wins; the others are closed with the dial.
 * - The error is that of the last address in the order that failed.
 *
 * Threads: the flow calls this under the stream's lock.
 */

struct dial_attempt {
    int fd; /* -1: none. */
    size_t index;
    uint64_t started;
};

struct tcp_dial {
    const struct flow_env *env;
    struct flow *flow; /* Told before a descriptor is closed; or NULL. */
    uint64_t timeout;
    uint64_t deadline; /* FLOW_NEVER: none, or not begun. */
    bool begun;
    struct flow_lookup *lookup; /* Running, or NULL. */
    struct flow_addr addr[TCP_DIAL_ADDRESSES];
    size_t count;
    size_t next;        /* First address not tried. */
    uint64_t next_time; /* When to try it. */
    struct dial_attempt attempt[TCP_DIAL_PARALLEL];
    struct flow_error error; /* Of the last address tried. */
    size_t error_index;
    struct flow_addr source; /* Of family 0: any. */
    uint16_t port;
    char host[TCP_HOST_SIZE];
};

struct tcp_dial *
flow__tcp_dial_new(const struct flow_env *env, struct flow *flow,
                   const char *host, uint16_t port, uint64_t timeout,
                   const struct flow_addr *source)
{
    struct tcp_dial *d = flow_env_alloc(env, sizeof(*d));
    size_t i;

    if (d == NULL)
        return NULL;
    d->env = env;
    d->flow = flow;
    d->timeout = timeout;
    d->port = port;
    d->source = *source;
    memcpy(d->host, host, strlen(host) + 1);
    for (i = 0; i < TCP_DIAL_PARALLEL; i++)
        d->attempt[i].fd = -1;
    return d;
}

static void
dial_drop_attempt(const struct tcp_dial *d, struct dial_attempt *a)
{
    if (a->fd >= 0) {
        flow_fd_closing(d->flow, a->fd);
        close(a->fd);
    }
    a->fd = -1;
}

static void
dial_drop_lookup(struct tcp_dial *d)
{
    if (d->lookup == NULL)
        return;
    /* Only the resolver knows its descriptors. */
    flow_fd_closing(d->flow, -1);
    d->env->resolver->cancel(d->lookup);
    d->lookup = NULL;
}

void
flow__tcp_dial_free(struct tcp_dial *d)
{
    size_t i;

    if (d == NULL)
        return;
    dial_drop_lookup(d);
    for (i = 0; i < TCP_DIAL_PARALLEL; i++)
        dial_drop_attempt(d, &d->attempt[i]);
    flow_env_free(d->env, d, sizeof(*d));
}

static uint64_t
dial_now(const struct tcp_dial *d)
{
    return d->env->now(d->env->ctx);
}

static bool
dial_is_past(const struct tcp_dial *d, uint64_t nsec)
{
    return nsec != FLOW_NEVER && dial_now(d) >= nsec;
}

/* "host:port" or "host (address)".  A long name is cut, so that the address
 * fits. */
static void
dial_describe(const struct tcp_dial *d, const struct flow_addr *addr,
              char *text, size_t size)
{
    union flow__sockaddr sa;
    struct flow_addr literal;
    char where[FLOW__SOCKADDR_TEXT];
    socklen_t len;

    if (flow__tcp_literal(d->host, d->port, &literal)) {
        len = flow__tcp_sockaddr(&literal, &sa);
        flow__sockaddr_format(&sa, len, where);
        snprintf(text, size, "%.90s", where);
    } else if (addr == NULL) {
        snprintf(text, size, "%.80s:%u", d->host, (unsigned)d->port);
    } else {
        len = flow__tcp_sockaddr(addr, &sa);
        flow__sockaddr_format(&sa, len, where);
        snprintf(text, size, "%.44s (%.47s)", d->host, where);
    }
}

static enum flow_status
dial_error(const struct tcp_dial *d, struct flow_error *err,
           enum flow_status status, enum flow_domain domain, int32_t code,
           const char *text)
{
    char detail[FLOW_ERROR_DETAIL];

    dial_describe(d, NULL, detail, sizeof(detail));
    flow_error_set(err, status, "tcp", domain, code, text);
    flow_error_set_detail(err, detail);
    return status;
}

/* Keeps the addresses of the source's family, or all if there is no source. */
static void
dial_set_addresses(struct tcp_dial *d, size_t count)
{
    size_t i;

    d->count = 0;
    for (i = 0; i < count; i++) {
        if (d->source.family != 0 && d->addr[i].family != d->source.family)
            continue;
        d->addr[d->count] = d->addr[i];
        d->addr[d->count++].port = d->port;
    }
    count = d->count;
    flow__tcp_interleave(d->addr, count);
    d->next_time = dial_now(d);
}

static enum flow_status
dial_begin(struct tcp_dial *d, struct flow_error *err)
{
    const struct flow_resolver *r = d->env->resolver;
    enum flow_status st;

    d->begun = true;
    if (d->timeout != 0)
        d->deadline = flow_time_after(dial_now(d), d->timeout);
    if (flow__tcp_literal(d->host, d->port, &d->addr[0])) {
        dial_set_addresses(d, 1);
        return FLOW_OK;
    }
    if (r == NULL) {
        dial_error(d, err, FLOW_E_NOTSUP, FLOW_DOMAIN_NONE, 0,
                   "no resolver for host names");
        err->hint = "give an address";
        return FLOW_E_NOTSUP;
    }
    st = r->start(d->env->ctx, d->host, d->port, &d->lookup);
    if (st != FLOW_OK)
        return dial_error(d, err, st, FLOW_DOMAIN_NONE, 0,
                          "the lookup of the host name did not start");
    return FLOW_OK;
}

/* Takes the result of the lookup, if it is done. */
static enum flow_status
dial_resolve(struct tcp_dial *d, struct flow_error *err)
{
    const struct flow_resolver *r = d->env->resolver;
    enum flow_status st;
    size_t count = 0;
    int32_t code = 0;

    st = r->result(d->lookup, d->addr, TCP_DIAL_ADDRESSES, &count, &code);
    if (st == FLOW_AGAIN)
        return st;
    dial_drop_lookup(d);
    if (st == FLOW_OK && count > 0) {
        dial_set_addresses(d, count);
        if (d->count > 0)
            return FLOW_OK;
        return dial_error(d, err, FLOW_E_SYS, FLOW_DOMAIN_ERRNO, EAFNOSUPPORT,
                          "the host has no address of the source's family");
    }
    dial_error(d, err, st == FLOW_OK ? FLOW_E_SYS : st, FLOW_DOMAIN_RESOLVER,
               code, r->text(code));
    err->hint = "check the spelling of the name and the network's resolver";
    return err->status;
}

/* The source address if binding to it failed, else the address that was
 * tried. */
static void
dial_describe_attempt(const struct tcp_dial *d, size_t index, bool at_source,
                      char *text, size_t size)
{
    union flow__sockaddr sa;
    char where[FLOW__SOCKADDR_TEXT];
    socklen_t len;

    if (!at_source) {
        dial_describe(d, &d->addr[index], text, size);
        return;
    }
    len = flow__tcp_sockaddr(&d->source, &sa);
    flow__sockaddr_format(&sa, len, where);
    snprintf(text, size, "from %.80s", where);
}

static void
dial_attempt_failed(struct tcp_dial *d, size_t index, int code, bool at_source)
{
    char detail[FLOW_ERROR_DETAIL];

    /* The next attempt may start now. */
    d->next_time = dial_now(d);
    if (index < d->error_index)
        return;
    d->error_index = index;
    dial_describe_attempt(d, index, at_source, detail, sizeof(detail));
    flow_posix_error(&d->error, "tcp", code, "connecting failed", detail);
    if (code == ETIMEDOUT) {
        d->error.status = FLOW_E_TIMEOUT;
        d->error.text = "the host did not answer";
    }
    if (at_source)
        d->error.hint = "give an address of this machine as the source, and a "
                        "port that is free, or 0";
}

/*
 * Whether a socket is connected to itself.  That happens if it connects to a
 * closed port of this machine and the system chooses the same port for it.
 */
static bool
dial_is_self_connected(int fd)
{
    union flow__sockaddr ours;
    union flow__sockaddr theirs;
    socklen_t ours_len = sizeof(ours);
    socklen_t theirs_len = sizeof(theirs);

    return getsockname(fd, &ours.any, &ours_len) == 0 &&
           getpeername(fd, &theirs.any, &theirs_len) == 0 &&
           ours_len == theirs_len && memcmp(&ours, &theirs, ours_len) == 0;
}

/* Whether an attempt has connected; drops it if it failed. */
static bool
dial_attempt_won(struct tcp_dial *d, struct dial_attempt *a)
{
    int code = flow__fd_take_error(a->fd);

    if (code == 0 && dial_is_self_connected(a->fd))
        code = ECONNREFUSED;
    if (code == 0)
        return true;
    dial_drop_attempt(d, a);
    dial_attempt_failed(d, a->index, code, false);
    return false;
}

static size_t
dial_attempts_running(const struct tcp_dial *d)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < TCP_DIAL_PARALLEL; i++)
        n += d->attempt[i].fd >= 0 ? 1u : 0u;
    return n;
}

/* A free place for an attempt, or that of the oldest. */
static struct dial_attempt *
dial_place_for_next(struct tcp_dial *d)
{
    struct dial_attempt *best = &d->attempt[0];
    size_t i;

    for (i = 0; i < TCP_DIAL_PARALLEL; i++) {
        if (d->attempt[i].fd < 0)
            return &d->attempt[i];
        if (d->attempt[i].started < best->started)
            best = &d->attempt[i];
    }
    return best;
}

/* The time to try the next address; FLOW_NEVER: all were tried. */
static uint64_t
dial_time_of_next(struct tcp_dial *d)
{
    const struct dial_attempt *place = dial_place_for_next(d);

    if (d->next == d->count)
        return FLOW_NEVER;
    if (place->fd < 0 || place->started + TCP_DIAL_PATIENCE < d->next_time)
        return d->next_time;
    return place->started + TCP_DIAL_PATIENCE;
}

/*
 * Without a port, connect(2) chooses one if the system supports that: bind(2)
 * would need a port that is free for every target.  A given port may have been
 * in use a moment ago, hence SO_REUSEADDR.
 */
static bool
dial_bind_source(const struct tcp_dial *d, int fd)
{
    union flow__sockaddr sa;
    socklen_t len = flow__tcp_sockaddr(&d->source, &sa);

    if (d->source.port != 0)
        (void)flow__fd_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
#ifdef IP_BIND_ADDRESS_NO_PORT
    else
        (void)flow__fd_set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
    return bind(fd, &sa.any, len) == 0;
}

/* Tries the next address; NULL: it failed at once. */
static struct dial_attempt *
dial_try_next(struct tcp_dial *d)
{
    struct dial_attempt *a = dial_place_for_next(d);
    union flow__sockaddr sa;
    socklen_t len = flow__tcp_sockaddr(&d->addr[d->next], &sa);
    bool at_source;

    if (a->fd >= 0) {
        dial_drop_attempt(d, a);
        dial_attempt_failed(d, a->index, ETIMEDOUT, false);
    }
    a->index = d->next++;
    a->started = dial_now(d);
    a->fd = flow__fd_socket(sa.any.sa_family);
    at_source =
        a->fd >= 0 && d->source.family != 0 && !dial_bind_source(d, a->fd);
    if (a->fd >= 0 && !at_source &&
        (connect(a->fd, &sa.any, len) == 0 || errno == EINPROGRESS ||
         errno == EINTR)) {
        d->next_time = a->started + TCP_DIAL_STAGGER;
        return a;
    }
    dial_attempt_failed(d, a->index, errno, at_source);
    dial_drop_attempt(d, a);
    return NULL;
}

static struct dial_attempt *
dial_find_winner(struct tcp_dial *d)
{
    struct dial_attempt *a;
    size_t i;

    for (i = 0; i < TCP_DIAL_PARALLEL; i++) {
        a = &d->attempt[i];
        if (a->fd >= 0 && flow_wait_fd_ready(NULL, a->fd, FLOW_WAIT_OUT) != 0 &&
            dial_attempt_won(d, a))
            return a;
    }
    while (dial_is_past(d, dial_time_of_next(d))) {
        a = dial_try_next(d);
        if (a != NULL && flow_wait_fd_ready(NULL, a->fd, FLOW_WAIT_OUT) != 0 &&
            dial_attempt_won(d, a))
            return a;
    }
    return NULL;
}

static enum flow_status
dial_timed_out(const struct tcp_dial *d, struct flow_error *err)
{
    return dial_error(d, err, FLOW_E_TIMEOUT, FLOW_DOMAIN_NONE, 0,
                      d->lookup != NULL ? "the name was not resolved in time"
                                        : "no address answered in time");
}

enum flow_status
flow__tcp_dial_step(struct tcp_dial *d, int *ret_fd, struct flow_addr *ret_peer,
                    struct flow_error *ret_err)
{
    enum flow_status st = FLOW_OK;
    struct dial_attempt *winner;

    if (!d->begun)
        st = dial_begin(d, ret_err);
    if (st == FLOW_OK && d->lookup != NULL)
        st = dial_resolve(d, ret_err);
    if (st == FLOW_AGAIN && dial_is_past(d, d->deadline))
        return dial_timed_out(d, ret_err);
    if (st != FLOW_OK)
        return st;

    winner = dial_find_winner(d);
    if (winner != NULL) {
        *ret_fd = winner->fd;
        *ret_peer = d->addr[winner->index];
        winner->fd = -1;
        return FLOW_OK;
    }
    if (dial_attempts_running(d) == 0) {
        *ret_err = d->error;
        return d->error.status;
    }
    return dial_is_past(d, d->deadline) ? dial_timed_out(d, ret_err)
                                        : FLOW_AGAIN;
}

/* Adds the sources of the lookup; true, without any, if it is done. */
static bool
dial_wait_for_lookup(struct tcp_dial *d, struct flow_wait_set *set)
{
    const struct flow_resolver *r = d->env->resolver;
    struct flow_wait_set before = *set;
    struct flow_addr addr[TCP_DIAL_ADDRESSES];
    size_t count;
    int32_t code;

    r->wait(d->lookup, set);
    if (r->result(d->lookup, addr, TCP_DIAL_ADDRESSES, &count, &code) ==
        FLOW_AGAIN)
        return false;
    *set = before;
    return true;
}

bool
flow__tcp_dial_wait(struct tcp_dial *d, struct flow_wait_set *set)
{
    size_t i;

    if (!d->begun || dial_is_past(d, d->deadline))
        return true;
    if (d->lookup != NULL) {
        if (dial_wait_for_lookup(d, set))
            return true;
        flow_wait_add_time(set, d->deadline);
        return false;
    }
    if (dial_attempts_running(d) == 0 || dial_is_past(d, dial_time_of_next(d)))
        return true;
    for (i = 0; i < TCP_DIAL_PARALLEL; i++)
        if (d->attempt[i].fd >= 0 &&
            flow_wait_fd_ready(set, d->attempt[i].fd, FLOW_WAIT_OUT) != 0)
            return true;
    for (i = 0; i < TCP_DIAL_PARALLEL; i++)
        if (d->attempt[i].fd >= 0)
            flow_wait_add_fd(set, d->attempt[i].fd, FLOW_WAIT_OUT);
    flow_wait_add_time(set, dial_time_of_next(d));
    flow_wait_add_time(set, d->deadline);
    return false;
}
