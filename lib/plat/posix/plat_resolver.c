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
#include "lib/list.h"
#include "lib/plat/posix/plat_env.h"

/* Addresses kept of one name, and threads that look names up: if the resolver
 * does not answer, the number of threads stays bounded. */
#define RESOLVER_ADDRESSES 16
#define RESOLVER_WORKERS   64u

/*
 * Lookups wait in a queue for one of a bounded number of threads, which takes
 * one after the other and ends when there is none left.  getaddrinfo() cannot
 * be interrupted: a lookup that is cancelled while it runs lives on in its
 * thread until the system's resolver gives up (some tens of seconds at most),
 * and keeps that thread from the others meanwhile.
 *
 * Invariants: a lookup is in the queue iff it is QUEUED, and its thread frees
 * it iff it is abandoned, which only one that is RUNNING can be; code, count
 * and addr are written before it is DONE and read after that.  workers counts
 * the threads, of the process of that number, that have not found the queue
 * empty.
 *
 * Order of locks: flow_fork_block(), this one, the wait lock.  In a child the
 * threads are gone: what was QUEUED still is, and what was RUNNING elsewhere is
 * looked up again when it is asked for.
 */
enum resolver_progress { QUEUED, RUNNING, DONE };

struct flow_lookup {
    struct flow__link link;
    uint32_t progress;       /* Atomic; written under the lock. */
    uint32_t process;        /* Where it is RUNNING; under the lock. */
    bool abandoned;          /* Under the lock. */
    struct flow_event event; /* Signalled when it is DONE. */
    int32_t code;            /* EAI_ value, 0 for success. */
    size_t count;
    struct flow_addr addr[RESOLVER_ADDRESSES];
    uint16_t port;
    char host[];
};

static pthread_mutex_t resolver_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct flow__link resolver_queue = { &resolver_queue, &resolver_queue };
static uint32_t resolver_workers;
static uint32_t resolver_process; /* Whose workers these are. */

static void
resolver_lock(void)
{
    flow_fork_block();
    pthread_mutex_lock(&resolver_mutex);
}

static void
resolver_unlock(void)
{
    pthread_mutex_unlock(&resolver_mutex);
    flow_fork_unblock();
}

static void
resolver_free_lookup(struct flow_lookup *lookup)
{
    flow_event_fini(&lookup->event);
    free(lookup);
}

/* false for a family that flows do not know. */
static bool
resolver_take_address(struct flow_addr *addr, const struct sockaddr *sa)
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
resolver_resolve(struct flow_lookup *lookup)
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
    for (ai = list; ai != NULL && lookup->count < RESOLVER_ADDRESSES;
         ai = ai->ai_next)
        if (resolver_take_address(&lookup->addr[lookup->count], ai->ai_addr))
            lookup->addr[lookup->count++].port = lookup->port;
    freeaddrinfo(list);
    if (lookup->count == 0)
        lookup->code = EAI_NONAME;
}

/* The next lookup for the calling thread; NULL: none, and it is counted out. */
static struct flow_lookup *
resolver_take_lookup(void)
{
    struct flow_lookup *lookup = NULL;

    resolver_lock();
    if (flow__list_is_empty(&resolver_queue)) {
        resolver_workers--;
    } else {
        lookup = flow__container(resolver_queue.next, struct flow_lookup, link);
        flow__list_remove(&lookup->link);
        lookup->process = resolver_process;
        flow__store(&lookup->progress, RUNNING);
    }
    resolver_unlock();
    return lookup;
}

/* The signal is given under the lock, since the caller may free the lookup as
 * soon as it can see that it is DONE. */
static void
resolver_finish_lookup(struct flow_lookup *lookup)
{
    bool abandoned;

    resolver_lock();
    abandoned = lookup->abandoned;
    if (!abandoned) {
        flow__store(&lookup->progress, DONE);
        flow_event_signal(&lookup->event);
    }
    resolver_unlock();
    if (abandoned)
        resolver_free_lookup(lookup);
}

static void *
resolver_look_names_up(void *arg)
{
    struct flow_lookup *lookup;

    (void)arg;
    while ((lookup = resolver_take_lookup()) != NULL) {
        resolver_resolve(lookup);
        resolver_finish_lookup(lookup);
    }
    return NULL;
}

/* A detached thread that takes no signal meant for the program. */
static bool
resolver_start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, resolver_look_names_up, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

/* Under the lock: start a thread for the queue, unless there are enough;
 * false if no thread would ever serve it. */
static bool
resolver_serve_queue(void)
{
    uint32_t me = flow_process();

    if (resolver_process != me) {
        resolver_process = me;
        resolver_workers = 0;
    }
    if (!flow__list_is_empty(&resolver_queue) &&
        resolver_workers < RESOLVER_WORKERS && resolver_start_thread())
        resolver_workers++;
    return resolver_workers > 0;
}

static enum flow_status
resolver_start(void *ctx, const char *host, uint16_t port,
               struct flow_lookup **ret_lookup)
{
    size_t len = strlen(host) + 1;
    struct flow_lookup *lookup;
    bool served;

    (void)ctx;
    lookup = calloc(1, sizeof(*lookup) + len);
    if (lookup == NULL)
        return FLOW_E_NOMEM;
    memcpy(lookup->host, host, len);
    lookup->port = port;
    flow_event_init(&lookup->event);
    resolver_lock();
    flow__list_append(&resolver_queue, &lookup->link);
    served = resolver_serve_queue();
    if (!served)
        flow__list_remove(&lookup->link);
    resolver_unlock();
    if (!served) {
        resolver_free_lookup(lookup);
        return FLOW_E_NOMEM;
    }
    *ret_lookup = lookup;
    return FLOW_OK;
}

/* Under the lock: whether a thread of this process has done, does or will do
 * it.  One that a thread of the parent ran is started again. */
static bool
resolver_is_served(struct flow_lookup *lookup)
{
    uint32_t me = flow_process();

    if (lookup->progress == DONE)
        return true;
    if (lookup->progress == RUNNING && lookup->process != me) {
        flow__store(&lookup->progress, QUEUED);
        lookup->count = 0;
        flow__list_append(&resolver_queue, &lookup->link);
    } else if (resolver_process == me) {
        return true;
    }
    return resolver_serve_queue();
}

static enum flow_status
resolver_result(struct flow_lookup *lookup, struct flow_addr *ret_addr,
                size_t cap, size_t *ret_count, int32_t *ret_code)
{
    size_t count;
    bool served;

    if (flow__load_acquire(&lookup->progress) != DONE) {
        resolver_lock();
        served = resolver_is_served(lookup);
        resolver_unlock();
        return served ? FLOW_AGAIN : FLOW_E_NOMEM;
    }
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
resolver_wait(struct flow_lookup *lookup, struct flow_wait_set *set)
{
    uint32_t sequence = flow_event_sequence(&lookup->event);

    if (flow__load_acquire(&lookup->progress) == DONE)
        flow_wait_add_time(set, FLOW_NOW);
    else
        flow_wait_add_event(set, &lookup->event, sequence);
}

static void
resolver_cancel(struct flow_lookup *lookup)
{
    bool runs;

    resolver_lock();
    runs = lookup->progress == RUNNING && lookup->process == flow_process();
    if (lookup->progress == QUEUED)
        flow__list_remove(&lookup->link);
    lookup->abandoned = runs;
    resolver_unlock();
    if (!runs)
        resolver_free_lookup(lookup);
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
