/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/atomic.h"
#include "lib/plat/posix/plat_env.h"

/* Addresses kept of one name, and lookups that may run at a time: a resolver
 * that does not answer must not collect threads without end. */
#define ADDRESSES 16
#define LOOKUPS   64u

/*
 * A lookup, shared by its thread and the caller; the last to let go frees it.
 * getaddrinfo() cannot be interrupted, so a cancelled lookup lives on in its
 * thread until the system's resolver gives up (some tens of seconds at most):
 * this struct and the thread's stack, no descriptor of ours.
 *
 * Invariant: code, count and addr are written before done, read after it.
 */
struct flow_lookup {
    uint32_t refs;           /* atomic: 2, 1 */
    uint32_t done;           /* atomic */
    struct flow_event event; /* signalled when done is set */
    int32_t code;            /* EAI_ value, 0 for success */
    size_t count;
    struct flow_addr addr[ADDRESSES];
    uint16_t port;
    char host[];
};

static uint32_t running;

static void
unref(struct flow_lookup *lookup)
{
    if (flow__sub(&lookup->refs, 1) != 1)
        return;
    flow_event_fini(&lookup->event);
    free(lookup);
}

/* false for a family that flows do not know. */
static bool
take_address(struct flow_addr *addr, const struct sockaddr *sa)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    memset(addr, 0, sizeof(*addr));
    if (sa->sa_family == AF_INET) {
        memcpy(&in, sa, sizeof(in));
        addr->family = 4;
        memcpy(addr->bytes, &in.sin_addr, 4);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof(in6));
        addr->family = 6;
        memcpy(addr->bytes, &in6.sin6_addr, 16);
        addr->scope = in6.sin6_scope_id;
        return true;
    }
    return false;
}

static void
resolve(struct flow_lookup *lookup)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *list = NULL;
    const struct addrinfo *ai;

    lookup->code = getaddrinfo(lookup->host, NULL, &hints, &list);
    if (lookup->code != 0)
        return;
    for (ai = list; ai != NULL && lookup->count < ADDRESSES; ai = ai->ai_next)
        if (take_address(&lookup->addr[lookup->count], ai->ai_addr))
            lookup->addr[lookup->count++].port = lookup->port;
    freeaddrinfo(list);
    if (lookup->count == 0)
        lookup->code = EAI_NONAME;
}

static void *
lookup_thread(void *arg)
{
    struct flow_lookup *lookup = arg;

    resolve(lookup);
    flow__store_release(&lookup->done, 1);
    flow_event_signal(&lookup->event);
    unref(lookup);
    flow__sub(&running, 1);
    return NULL;
}

/* A detached thread that takes no signal meant for the program. */
static int
start_thread(struct flow_lookup *lookup)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    rc = pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, lookup_thread, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

static enum flow_status
resolver_start(void *ctx, const char *host, uint16_t port,
               struct flow_lookup **ret_lookup)
{
    size_t len = strlen(host) + 1;
    struct flow_lookup *lookup;

    (void)ctx;
    lookup = calloc(1, sizeof(*lookup) + len);
    if (lookup == NULL)
        return FLOW_E_NOMEM;
    memcpy(lookup->host, host, len);
    lookup->port = port;
    lookup->refs = 2;
    flow_event_init(&lookup->event);
    if (flow__add(&running, 1) >= LOOKUPS || start_thread(lookup) != 0) {
        flow__sub(&running, 1);
        free(lookup);
        return FLOW_E_NOMEM;
    }
    *ret_lookup = lookup;
    return FLOW_OK;
}

static enum flow_status
resolver_result(struct flow_lookup *lookup, struct flow_addr *ret_addr,
                size_t cap, size_t *ret_count, int32_t *ret_code)
{
    size_t count;

    if (flow__load_acquire(&lookup->done) == 0)
        return FLOW_AGAIN;
    if (lookup->code != 0) {
        *ret_code = lookup->code;
        return FLOW_E_SYS;
    }
    count = lookup->count < cap ? lookup->count : cap;
    memcpy(ret_addr, lookup->addr, count * sizeof(*ret_addr));
    *ret_count = count;
    return FLOW_OK;
}

static void
resolver_wait(struct flow_lookup *lookup, struct flow_wait_sink *sink)
{
    uint32_t sequence = flow_event_sequence(&lookup->event);

    if (flow__load_acquire(&lookup->done) != 0)
        flow_wait_add_time(sink, FLOW_NOW);
    else
        flow_wait_add_event(sink, &lookup->event, sequence);
}

static void
resolver_cancel(struct flow_lookup *lookup)
{
    unref(lookup);
}

static const char *
resolver_text(int32_t code)
{
    switch (code) {
    case EAI_NONAME:
        return "no such host name";
    case EAI_AGAIN:
        return "the name servers do not answer now";
    case EAI_FAIL:
        return "the name servers failed";
    case EAI_MEMORY:
        return "the resolver has no memory";
    default:
        return "the host name could not be resolved";
    }
}

const struct flow_resolver flow__plat_resolver = {
    .start = resolver_start,
    .result = resolver_result,
    .wait = resolver_wait,
    .cancel = resolver_cancel,
    .text = resolver_text,
};
