/* SPDX-License-Identifier: ISC */
/* Bytes written to the rings and read from them: parts, reports, segments,
 * leases. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/vchan.h>

#include "backends/vchan/shm.h"
#include "backends/vchan/vchan.h"
#include "place.h"

#define MIB  (1024u * 1024u)
#define PART 65536u

static const struct flow_vchan_options large = { .read_size = MIB,
                                                 .write_size = MIB };

/*
 * Memory whose parts fault at their first access, and the value of an index at
 * that time.  The copy is interrupted by the fault, so the index is the one
 * that the peer could see.
 */
static struct {
    uint8_t *base;
    const uint32_t *index;
    uint32_t at[MIB / PART];
    unsigned touched;
} watched;

static void
part_touched(int signal_number, siginfo_t *info, void *context)
{
    size_t off = (size_t)((uint8_t *)info->si_addr - watched.base);

    (void)context;
    if (off >= MIB) {
        signal(signal_number, SIG_DFL); /* a fault of ours: happens again */
        return;
    }
    off -= off % PART;
    watched.at[off / PART] = __atomic_load_n(watched.index, __ATOMIC_ACQUIRE);
    watched.touched++;
    mprotect(watched.base + off, PART, PROT_READ | PROT_WRITE);
}

static void
watch(const uint32_t *index)
{
    struct sigaction action = { .sa_sigaction = part_touched,
                                .sa_flags = SA_SIGINFO };

    /* Access is removed after the allocation: valgrind then still knows the
     * memory. */
    watched.base = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(watched.base, MAP_FAILED);
    assert_int_equal(mprotect(watched.base, MIB, PROT_NONE), 0);
    watched.index = index;
    watched.touched = 0;
    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

/* Every part was touched after the index had passed all before it. */
static void
check_watched(void)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    assert_int_equal(watched.touched, MIB / PART);
    for (uint32_t i = 0; i < MIB / PART; i++)
        assert_int_equal(watched.at[i], i * PART);
    assert_int_equal(munmap(watched.base, MIB), 0);
}

static void
a_large_call_moves_its_index_after_every_part(void **state)
{
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &large);
    connect_pair(&p, l, NULL, f);
    watch(((struct vchan *)f[1])->rx.shr_prod);
    assert_int_equal(flow_write(f[0], watched.base, MIB, &n), FLOW_OK);
    assert_int_equal(n, MIB);
    check_watched();
    watch(((struct vchan *)f[0])->tx.shr_cons);
    assert_int_equal(flow_read(f[1], watched.base, MIB, &n), FLOW_OK);
    assert_int_equal(n, MIB);
    check_watched();
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* A hypervisor that runs the peer in the middle of our call. */
static struct {
    struct vchan_event_ops events;
    const struct vchan_event_ops *real;
    struct flow *peer;
    unsigned count; /* events sent */
    bool drains;    /* the peer reads everything and requests an event */
} told;

static void
sleep_on(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f, interest, &set), 0);
}

static void
notify_told(struct vchan_channel *channel)
{
    static uint8_t buf[MIB];
    size_t n;

    told.real->notify(channel);
    told.count++;
    while (told.drains && flow_read(told.peer, buf, sizeof(buf), &n) == FLOW_OK)
        continue;
    if (told.drains)
        sleep_on(told.peer, FLOW_READY_READ);
}

static void
tell_of(struct flow *caller, struct flow *peer, bool drains)
{
    struct vchan_hyp *hyp = ((struct vchan *)caller)->conn.hyp;

    told.real = hyp->events;
    told.events = *told.real;
    told.events.notify = notify_told;
    told.peer = peer;
    told.count = 0;
    told.drains = drains;
    hyp->events = &told.events;
}

/* The first part wakes a sleeping peer, and few of the others send an event. */
static void
a_call_goes_on_while_its_peer_keeps_up(void **state)
{
    static const uint8_t zeros[4 * MIB];
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &large);
    connect_pair(&p, l, NULL, f);
    sleep_on(f[1], FLOW_READY_READ);
    tell_of(f[0], f[1], true);
    assert_int_equal(flow_write(f[0], zeros, sizeof(zeros), &n), FLOW_OK);
    assert_int_equal(n, sizeof(zeros));
    assert_in_range(told.count, 2, 2 + sizeof(zeros) / (MIB / 2));
    told.drains = false;
    assert_int_equal(flow_write(f[0], zeros, 2 * MIB, &n), FLOW_OK);
    assert_int_equal(n, MIB);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* A small call sends one event. */
static void
a_call_of_one_part_sends_one_event(void **state)
{
    static uint8_t buf[PART];
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &large);
    connect_pair(&p, l, NULL, f);
    tell_of(f[0], f[1], false);
    for (unsigned i = 0; i < 3; i++) {
        sleep_on(f[1], FLOW_READY_READ);
        assert_int_equal(flow_write(f[0], buf, PART, &n), FLOW_OK);
        assert_int_equal(n, PART);
        assert_int_equal(told.count, i + 1);
        assert_int_equal(flow_read(f[1], buf, PART, &n), FLOW_OK);
        assert_int_equal(n, PART);
    }
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Whole parts, in the two ways that parts are copied, and across the wrap. */
static void
large_calls_keep_their_bytes(void **state)
{
    enum { CALL = MIB - 4099, CALLS = 9 };
    static uint8_t out[CALL];
    static uint8_t in[CALL];
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    uint32_t value = 1;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &large);
    connect_pair(&p, l, NULL, f);
    for (unsigned i = 0; i < CALLS; i++) {
        for (size_t at = 0; at < CALL; at++) {
            value = value * 1664525u + 1013904223u;
            out[at] = (uint8_t)(value >> 24);
        }
        assert_int_equal(flow_write(f[0], out, CALL, &n), FLOW_OK);
        assert_int_equal(n, CALL);
        assert_int_equal(flow_read(f[1], in, CALL, &n), FLOW_OK);
        assert_int_equal(n, CALL);
        assert_memory_equal(in, out, CALL);
    }
    assert_int_equal(((struct vchan *)f[0])->bypass.parts,
                     FLOW__SHM_BYPASSES ? CALLS * (CALL / PART) : 0);
    assert_false(((struct vchan *)f[0])->tx.bypass);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* A sanitizer build fails when such a segment reaches memcpy(). */
static void
an_empty_segment_needs_no_address(void **state)
{
    const struct flow_cvec out[] = {
        { NULL, 0 }, { "ab", 2 }, { NULL, 0 }, { "cd", 2 }, { NULL, 0 }
    };
    char in[4] = "";
    const struct flow_vec space[] = {
        { NULL, 0 }, { in, 1 }, { NULL, 0 }, { in + 1, 3 }
    };
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    assert_int_equal(flow_writev(f[0], out, 5, 0, &n), FLOW_OK);
    assert_int_equal(n, 4);
    assert_int_equal(flow_readv(f[1], space, 4, &n), FLOW_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(in, "abcd", 4);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
leases_are_ring_memory_and_contiguous_when_wanted(void **state)
{
    const struct flow_vchan_options opt = { .read_size = 1024,
                                            .write_size = 2048,
                                            .lease_rings = true };
    struct flow_listener *l;
    struct flow_vec span[2];
    struct flow *f[2];
    struct place p;
    uint8_t *ring;
    char buf[1024];
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    connect_pair(&p, l, &opt, f);
    ring = ((struct vchan *)f[1])->tx.data;

    /* All of an empty ring, in place. */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 1, span), FLOW_OK);
    assert_ptr_equal(span[0].base, ring);
    assert_int_equal(span[0].len, 1024);
    assert_int_equal(span[1].len, 0);
    memset(span[0].base, 'a', 1000);
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 1000, 0), FLOW_OK);

    /* Peek, take a part. */
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1000, span), FLOW_OK);
    assert_int_equal(span[0].len, 1000);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 0, 0), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1, span), FLOW_OK);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 990, 0), FLOW_OK);

    /* 24 bytes up to the end, the rest from the start: two spans, ... */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal(span[0].len, 24);
    assert_int_equal(span[1].len, 990);
    assert_ptr_equal(span[1].base, ring);
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 0, 0), FLOW_OK);
    /* ...  or the wanted bytes in one piece outside of the ring, and the
     * rest. */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 100, span), FLOW_OK);
    assert_int_equal(span[0].len, 100);
    assert_ptr_equal(span[1].base, ring + 76);
    assert_int_equal(span[1].len, 914);
    for (unsigned i = 0; i < 100; i++)
        ((uint8_t *)span[0].base)[i] = (uint8_t)i;
    memset(span[1].base, 'z', 20);
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 120, 0), FLOW_OK);

    assert_int_equal(flow_lease(f[0], FLOW_READ, 131, span), FLOW_AGAIN);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1025, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 110, span), FLOW_OK);
    assert_int_equal(span[0].len, 110);
    assert_int_equal(span[1].len, 20);
    assert_memory_equal(span[1].base, "zzzzzzzzzzzzzzzzzzzz", 20);
    memcpy(buf, span[0].base, 110);
    assert_memory_equal(buf, "aaaaaaaaaa", 10);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal((uint8_t)buf[10 + i], i);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 130, 0), FLOW_OK);

    /* After the end there are fewer. */
    assert_int_equal(flow_write(f[1], "end", 3, &n), FLOW_OK);
    flow_close(f[1]);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 3, span), FLOW_OK);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 0, 0), FLOW_OK);
    assert_int_equal(flow_read(f[0], buf, 1, &n), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 2, span), FLOW_OK);
    assert_memory_equal(span[0].base, "nd", 2);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 2, 0), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1, span), FLOW_EOF);
    flow_close(f[0]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_call_moves_its_index_after_every_part),
        cmocka_unit_test(a_call_goes_on_while_its_peer_keeps_up),
        cmocka_unit_test(a_call_of_one_part_sends_one_event),
        cmocka_unit_test(large_calls_keep_their_bytes),
        cmocka_unit_test(an_empty_segment_needs_no_address),
        cmocka_unit_test(leases_are_ring_memory_and_contiguous_when_wanted),
    };

    return cmocka_run_group_tests_name("vchan: transfers", tests, NULL, NULL);
}
