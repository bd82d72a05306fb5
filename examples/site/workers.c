/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../common/cli.h"

/*
 * Workers: one loop each, the first in the main thread and the others in
 * threads of their own.
 *
 * Each has a listener of its own on the same address, a poller and its
 * connections.  They share what does not change, the answers, and the holder of
 * the TLS configuration, from which their listeners take it for each
 * connection.
 *
 * SIGTERM and SIGINT reach only the main thread.  Orders are how many have
 * arrived; the first worker stores them and wakes the others.  A worker that
 * fails gives the order of a second signal to all.  No worker's poller is freed
 * before every thread has ended, so each may wake any other.
 */

struct workers {
    struct site *site;
    size_t count;
    pthread_t *thread;  /* of the workers from the second on */
    _Atomic int orders; /* 1: end in order; 2: close every connection */
    _Atomic bool failed;
    _Atomic size_t running; /* threads that have not ended */
};

/* See "site.h". */
size_t
workers_running(const struct workers *w)
{
    return atomic_load(&w->running);
}

static void
workers_give(struct workers *w, int orders)
{
    int before = atomic_load(&w->orders);
    size_t i;

    while (before < orders &&
           !atomic_compare_exchange_weak(&w->orders, &before, orders))
        continue;
    for (i = 0; before < orders && i < w->count; i++)
        flow_poller_wake(w->site[i].poller);
}

/* See "site.h". */
int
workers_orders(struct workers *w, size_t index)
{
    if (index == 0)
        workers_give(w, cli_signals);
    return atomic_load(&w->orders);
}

/* Runs one worker to its end. */
static void
workers_run_one(struct workers *w, struct site *s)
{
    if (loop_run(s) == CLI_OK)
        return;
    if (w->count > 1 && atomic_load(&w->orders) < 2)
        cli_complain("worker %zu of %zu failed: closing every connection",
                     s->index + 1, w->count);
    atomic_store(&w->failed, true);
    workers_give(w, 2);
}

static void *
workers_main(void *arg)
{
    struct site *s = arg;
    struct workers *w = s->workers;

    workers_run_one(w, s);
    atomic_fetch_sub(&w->running, 1);
    flow_poller_wake(w->site[0].poller);
    return NULL;
}

/* Starts the threads, in which no signal is delivered; how many were started.
 */
static size_t
workers_start(struct workers *w)
{
    sigset_t all, before;
    size_t started;
    int code = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (started = 0; started + 1 < w->count; started++) {
        atomic_fetch_add(&w->running, 1);
        code = pthread_create(&w->thread[started], NULL, workers_main,
                              &w->site[started + 1]);
        if (code != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        atomic_fetch_sub(&w->running, 1);
        cli_complain("cannot start worker %zu of %zu: %s", started + 2,
                     w->count, strerror(code));
        atomic_store(&w->failed, true);
        workers_give(w, 2);
    }
    return started;
}

/* See "site.h". */
int
workers_run(struct site *site, size_t count)
{
    struct workers w = { .site = site, .count = count };
    size_t i, started;

    w.thread = calloc(count, sizeof(*w.thread));
    if (w.thread == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    for (i = 0; i < count; i++)
        site[i].workers = &w;
    started = workers_start(&w);
    workers_run_one(&w, &site[0]);
    for (i = 0; i < started; i++)
        pthread_join(w.thread[i], NULL);
    free(w.thread);
    return atomic_load(&w.failed) ? CLI_FAILED : CLI_OK;
}
