/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_STUB_WORLD_H
#define TESTS_VCHAN_STUB_WORLD_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <flow/vchan.h>

#include "backends/vchan/vchan.h"
#include "clock.h"
#include "place.h"
#include "stub_xen.h"

/* A server's domain and a client's, over Xen's libraries in memory. */

#define SERVER 3u
#define CLIENT 7u

/* The node of the store that the server's domain may write, and its keys. */
#define OWN  "/local/domain/3/data"
#define BASE OWN "/vchan/7/x"

/* Each domain has an environment of its own, and with it a handle. */
struct world {
    struct flow_env env[2];
    struct flow_listener *listener;
};

static inline void
world_start(struct world *w)
{
    stub_reset();
    stub_introduce(SERVER);
    stub_introduce(CLIENT);
    /* A toolstack makes this node for a domain. */
    stub_write(OWN, "", SERVER, SERVER);
    for (unsigned i = 0; i < 2; i++) {
        w->env[i] = *flow_env_default();
        clock_set_by_hand(&w->env[i]);
    }
}

static inline void
world_listen(struct world *w)
{
    stub_enter(SERVER);
    assert_int_equal(
        flow_vchan_listen(&w->env[0], CLIENT, "x", NULL, &w->listener, NULL),
        FLOW_OK);
}

static inline struct flow *
world_dial(struct world *w)
{
    struct flow *f;

    stub_enter(CLIENT);
    assert_int_equal(
        flow_vchan_connect(&w->env[1], SERVER, "x", NULL, &f, NULL), FLOW_OK);
    return f;
}

static inline void
world_connect(struct world *w, struct flow *f[2])
{
    f[1] = world_dial(w);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w->listener, &f[0]), FLOW_OK);
}

static inline unsigned
descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

static inline uint64_t
look(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f, interest, &set), 0);
    return set.deadline;
}

#endif
