/* SPDX-License-Identifier: ISC */
/*
 * The world of the fake hypervisor: members join, leave, die, and write
 * arbitrary values into the shared tables.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/env.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/hyp_fake_domain.h"
#include "backends/vchan/vchan.h"
#include "place.h"

#define BASE "/local/domain/1/data/vchan/2/x"

static const struct vchan_unmap_notify nothing = { VCHAN_CLEAR_NONE, NULL };

/* A member that has joined: the maker joins at once, others with a lookup. */
static struct vchan_hyp *
member_open(const char *dir, uint16_t domid, unsigned flags)
{
    struct vchan_hyp *hyp;
    uint32_t ref;
    uint32_t port;

    assert_int_equal(flow__vchan_fake_open(flow_env_default(), dir, domid,
                                           flags, &hyp, NULL),
                     FLOW_OK);
    assert_int_equal(hyp->store->lookup(hyp, 1, "/nothing", &ref, &port, NULL),
                     FLOW_AGAIN);
    return hyp;
}

static uint32_t
number_of(struct vchan_hyp *hyp)
{
    return flow__fake_of(hyp)->dir.member;
}

/* The tables, as any process can map them. */
static struct fake_world *
tables_open(const char *dir, int *ret_fd)
{
    char path[SCRATCH_MAX + 16];
    struct fake_world *w;
    int fd;

    snprintf(path, sizeof(path), "%s/world", dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(w, MAP_FAILED);
    *ret_fd = fd;
    return w;
}

static void
tables_close(struct fake_world *w, int fd)
{
    munmap(w, sizeof(*w));
    close(fd);
}

static void
no_two_members_have_one_number(void **state)
{
    static const uint32_t hints[] = { 0, 1, 2, 3, 65535, 65536, UINT32_MAX };
    struct vchan_hyp *hyp[16];
    struct fake_world *w;
    struct place p;
    unsigned count = 1;
    int fd;

    (void)state;
    place_make(&p);
    hyp[0] = member_open(p.dir, 1, VCHAN_FAKE_MAKE);
    w = tables_open(p.dir, &fd);
    for (unsigned i = 0; i < 7; i++)
        for (unsigned twice = 0; twice < 2; twice++) {
            w->members = hints[i];
            hyp[count++] = member_open(p.dir, 2, 0);
        }
    for (unsigned i = 0; i < count; i++) {
        assert_int_not_equal(number_of(hyp[i]), FAKE_NOBODY);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(number_of(hyp[i]), number_of(hyp[j]));
    }
    tables_close(w, fd);
    while (count > 0)
        flow__vchan_hyp_unref(hyp[--count]);
    place_check_and_remove(&p);
}

/* A client that dies after it has written the listener's number over its
 * own. */
static void
a_dead_member_harms_no_other(void **state)
{
    struct flow_listener *l;
    struct vchan_hyp *liar;
    struct fake_world *w;
    struct flow *good[2];
    struct place p;
    uint32_t ref;
    uint32_t port;
    struct flow *bad;
    char byte;
    size_t n;
    int fd;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, good);
    liar = member_open(p.dir, 2, 0);
    w = tables_open(p.dir, &fd);
    assert_int_equal(liar->store->lookup(liar, 1,
                                         "/local/domain/1/data/vchan/2/flow",
                                         &ref, &port, NULL),
                     FLOW_OK);
    assert_int_equal(flow_vchan_fake_connect(NULL, p.dir, NULL, &bad, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(bad), FLOW_OK);
    for (unsigned i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state != FAKE_FREE && w->port[i].owner != FAKE_MAKER)
            w->port[i].owner = FAKE_MAKER;
    flow__vchan_fake_kill(((struct vchan *)(void *)bad)->conn.hyp);
    flow_close(bad);

    pass(good[0], good[1], "down");
    pass(good[1], good[0], "up");
    for (unsigned i = 0; i < FAKE_PAGES; i++)
        if (w->page[i].mapper == number_of(((struct vchan *)good[1])->conn.hyp))
            assert_int_equal(w->page[i].owner, FAKE_MAKER);
    assert_int_equal(flow_read(good[0], &byte, 1, &n), FLOW_AGAIN);
    tables_close(w, fd);
    flow__vchan_hyp_unref(liar);
    close_pair(good);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
die_with_pages(const char *dir)
{
    struct vchan_region *region;
    struct vchan_hyp *hyp;
    uint32_t ref[4000];
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        hyp = member_open(dir, 2, 0);
        _exit(hyp->grants->share(hyp, 1, 4000, true, nothing, ref, &region,
                                 NULL) != FLOW_OK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
pages_of_dead_members_are_reclaimed(void **state)
{
    struct vchan_region *region;
    struct vchan_hyp *maker;
    struct vchan_hyp *dead;
    uint32_t ref[4000];
    struct place p;

    (void)state;
    place_make(&p);
    maker = member_open(p.dir, 1, VCHAN_FAKE_MAKE);
    for (unsigned i = 0; i < 3 * FAKE_PAGES / 4000; i++)
        die_with_pages(p.dir);

    /* Pages that a dead peer had mapped are free. */
    dead = member_open(p.dir, 2, 0);
    assert_int_equal(
        maker->grants->share(maker, 2, 4000, true, nothing, ref, &region, NULL),
        FLOW_OK);
    assert_int_equal(dead->grants->map(dead, 1, ref, 4000, true, nothing,
                                       &(struct vchan_region *){ NULL }, NULL),
                     FLOW_OK);
    assert_int_equal(maker->grants->unshare(maker, region), FLOW_E_BUSY);
    flow__vchan_fake_kill(dead);
    assert_int_equal(maker->grants->unshare(maker, region), FLOW_OK);
    flow__vchan_hyp_unref(dead);
    flow__vchan_hyp_unref(maker);
    place_check_and_remove(&p);
}

static uint64_t
next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Overwrites whole tables, or a few words. */
static void
scribble(struct fake_world *w, uint64_t *seed)
{
    uint8_t *at = (uint8_t *)w;
    size_t len = sizeof(*w);
    size_t words = 16;

    if (next_random(seed) % 8 == 0) {
        memset(at, (int)(next_random(seed) & 0xff), len);
        return;
    }
    if (next_random(seed) % 2 == 0) {
        at = (uint8_t *)w->port;
        len = sizeof(w->port);
        words = 500;
    }
    for (size_t i = 0; i < words; i++) {
        uint64_t value = next_random(seed);

        memcpy(at + next_random(seed) % (len - 4), &value, 4);
    }
}

/* The operations of one end of a connection, in random order. */
static void
act(struct vchan_hyp *hyp, struct vchan_hyp *peer, struct fake_world *w,
    uint64_t *seed)
{
    struct vchan_region *shared = NULL;
    struct vchan_region *mapped = NULL;
    struct vchan_channel *own = NULL;
    struct vchan_channel *bound = NULL;
    struct vchan_unmap_notify at_unmap = { 20, NULL };
    uint32_t ref[3];
    uint32_t number;

    if (hyp->events->alloc(hyp, peer->domid, &own, NULL) != FLOW_OK)
        own = NULL;
    at_unmap.channel = own;
    scribble(w, seed);
    if (own != NULL && hyp->grants->share(hyp, peer->domid, 1, true, at_unmap,
                                          ref, &shared, NULL) == FLOW_OK) {
        (void)!hyp->store->publish(hyp, BASE, peer->domid, ref[0],
                                   hyp->events->port(own), NULL);
        scribble(w, seed);
        (void)!peer->store->lookup(peer, hyp->domid, BASE, &number, &number,
                                   NULL);
        if (peer->events->bind(peer, hyp->domid, hyp->events->port(own), &bound,
                               NULL) != FLOW_OK)
            bound = NULL;
        scribble(w, seed);
        at_unmap.channel = bound;
        if (peer->grants->map(peer, hyp->domid, ref, 1, true, at_unmap, &mapped,
                              NULL) != FLOW_OK)
            mapped = NULL;
        hyp->events->notify(own);
    }
    scribble(w, seed);
    if (mapped != NULL)
        peer->grants->unmap(peer, mapped);
    if (bound != NULL) {
        peer->events->drain(bound);
        peer->events->state(bound);
        peer->events->remote(bound);
        peer->events->close(bound);
    }
    scribble(w, seed);
    if (own != NULL) {
        hyp->events->drain(own);
        hyp->events->state(own);
        hyp->store->withdraw(hyp, BASE, hyp->events->port(own));
    }
    if (shared != NULL)
        (void)!hyp->grants->unshare(hyp, shared);
    if (own != NULL)
        hyp->events->close(own);
}

/* A sanitizer, or the guard pages, see an access outside. */
static void
no_table_makes_a_member_fail(void **state)
{
    struct vchan_hyp *hyp[2];
    struct fake_world *w;
    struct place p;
    int fd;

    (void)state;
    for (uint64_t round = 1; round <= 30; round++) {
        uint64_t seed = round * 0x9e3779b97f4a7c15u;

        place_make(&p);
        hyp[0] = member_open(p.dir, 1, VCHAN_FAKE_MAKE);
        hyp[1] = member_open(p.dir, 2, 0);
        w = tables_open(p.dir, &fd);
        for (unsigned i = 0; i < 20; i++)
            act(hyp[i & 1], hyp[!(i & 1)], w, &seed);
        tables_close(w, fd);
        flow__vchan_hyp_unref(hyp[1]);
        flow__vchan_hyp_unref(hyp[0]);
        place_check_and_remove(&p);
    }
}

static void
a_lock_that_is_kept_stops_no_member(void **state)
{
    struct flow_listener *l;
    struct fake_world *w;
    struct flow *f[2];
    struct place p;
    int fd;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    w = tables_open(p.dir, &fd);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "down");
    close_pair(f);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    connect_pair(&p, l, NULL, f);
    pass(f[1], f[0], "up");
    close_pair(f);
    tables_close(w, fd);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

#define ROUNDS 500u

/* A port or page that one thread frees may be allocated by another at once. */
static void *
grant_and_end(void *arg)
{
    struct vchan_hyp *hyp = arg;
    unsigned failed = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct vchan_channel *channel;
        struct vchan_region *region;
        uint32_t ref;

        if (hyp->events->alloc(hyp, 2, &channel, NULL) == FLOW_OK)
            hyp->events->close(channel);
        else
            failed++;
        if (hyp->grants->share(hyp, 2, 1, true, nothing, &ref, &region, NULL) !=
                FLOW_OK ||
            hyp->grants->unshare(hyp, region) != FLOW_OK)
            failed++;
    }
    return (void *)(uintptr_t)failed;
}

static void
threads_of_a_member_take_nothing_from_each_other(void **state)
{
    struct vchan_hyp *hyp;
    pthread_t thread[3];
    struct place p;
    void *failed;

    (void)state;
    place_make(&p);
    hyp = member_open(p.dir, 1, VCHAN_FAKE_MAKE);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, grant_and_end, hyp),
                         0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(thread[i], &failed), 0);
        assert_null(failed);
    }
    flow__vchan_hyp_unref(hyp);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_members_have_one_number),
        cmocka_unit_test(a_dead_member_harms_no_other),
        cmocka_unit_test(pages_of_dead_members_are_reclaimed),
        cmocka_unit_test(no_table_makes_a_member_fail),
        cmocka_unit_test(a_lock_that_is_kept_stops_no_member),
        cmocka_unit_test(threads_of_a_member_take_nothing_from_each_other),
    };

    return cmocka_run_group_tests_name("vchan: members of a world", tests, NULL,
                                       NULL);
}
