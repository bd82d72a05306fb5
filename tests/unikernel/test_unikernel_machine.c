/* SPDX-License-Identifier: ISC */
/*
 * The port for machines without an operating system, over a machine made of
 * functions of this test: time passes only while it idles, and an "interrupt"
 * is a function that runs then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/flow.h>
#include <flow/machine.h>
#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/util.h>

#include "lib/plat.h"
#include "tests/unikernel/heap.h"

#define MSEC UINT64_C(1000000)

static struct {
    uint64_t now;
    uint64_t interrupt_at; /* 0: none is due */
    void (*interrupt)(void);
    struct flow *written; /* what interrupt_write() writes to */
    struct flow_event event;
    unsigned idles;
    unsigned allocated;
    unsigned masked; /* depth; an interrupt may only come at 0 */
    unsigned masks;
    bool healthy;
    size_t align;
} m;

static uint64_t
machine_now(void *ctx)
{
    assert_ptr_equal(ctx, &m);
    return m.now;
}

static int64_t
machine_wall(void *ctx)
{
    assert_ptr_equal(ctx, &m);
    return 1234567890;
}

static bool
machine_random(void *ctx, void *buf, size_t len)
{
    assert_ptr_equal(ctx, &m);
    if (m.healthy)
        memset(buf, 0x5a, len);
    return m.healthy;
}

static void *
machine_alloc(void *ctx, size_t size, size_t align)
{
    assert_ptr_equal(ctx, &m);
    assert_true(size > 0);
    m.allocated++;
    m.align = align;
    return heap_alloc(ctx, size, align);
}

static void
machine_free(void *ctx, void *ptr, size_t size, size_t align)
{
    assert_ptr_equal(ctx, &m);
    assert_true(size > 0 && align >= _Alignof(max_align_t));
    m.allocated--;
    heap_free(ctx, ptr, size, align);
}

static uintptr_t
machine_mask(void *ctx)
{
    assert_ptr_equal(ctx, &m);
    m.masks++;
    return m.masked++;
}

static void
machine_restore(void *ctx, uintptr_t state)
{
    assert_ptr_equal(ctx, &m);
    assert_int_equal(m.masked, state + 1);
    m.masked = (unsigned)state;
}

/* Sleeps until the interrupt or the deadline, whichever is first. */
static void
machine_idle(void *ctx, uint64_t deadline, const uint32_t *woken)
{
    bool interrupted =
        m.interrupt != NULL && (deadline == 0 || m.interrupt_at <= deadline);

    assert_ptr_equal(ctx, &m);
    assert_int_equal(m.masked, 0);
    assert_int_equal(*woken, 0);
    m.idles++;
    if (!interrupted) {
        assert_int_not_equal(deadline, 0);
        m.now = deadline;
        return;
    }
    m.now = m.interrupt_at;
    m.interrupt();
    m.interrupt = NULL;
}

static const struct flow_machine machine = {
    .ctx = &m,
    .now = machine_now,
    .wall = machine_wall,
    .random = machine_random,
    .alloc = machine_alloc,
    .free = machine_free,
    .idle = machine_idle,
    .mask = machine_mask,
    .restore = machine_restore,
};

static int
setup(void **state)
{
    (void)state;
    memset(&m, 0, sizeof(m));
    m.now = 1000 * MSEC;
    m.healthy = true;
    flow_event_init(&m.event);
    flow_machine_start(&machine);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    flow_event_fini(&m.event);
    return m.allocated == 0 && m.masked == 0 ? 0 : -1;
}

static void
interrupt_signal(void)
{
    flow_event_signal(&m.event);
}

static void
interrupt_write(void)
{
    size_t n;

    assert_int_equal(flow_write(m.written, "x", 1, &n), FLOW_OK);
}

static void
interrupt_at(uint64_t at, void (*interrupt)(void))
{
    m.interrupt_at = at;
    m.interrupt = interrupt;
}

/* A library without its machine has nothing, and says so. */
static void
nothing_works_before_the_start(void **state)
{
    static const struct flow_machine bare = { .now = machine_now,
                                              .ctx = &m,
                                              .alloc = machine_alloc,
                                              .free = machine_free,
                                              .idle = machine_idle };
    uint8_t byte;

    (void)state;
    flow_machine_start(&bare);
    assert_int_equal(flow__plat_wall(), -1);
    assert_false(flow__plat_random(&byte, 1));
    m.now = 0;
    assert_int_equal(flow__plat_now(), 2);
}

static void
the_environment_is_the_machines(void **state)
{
    const struct flow_env *env = flow_env_default();
    uint8_t bytes[4] = { 0 };
    void *page;

    (void)state;
    assert_int_equal(env->now(env->ctx), 1000 * MSEC);
    assert_int_equal(env->wall(env->ctx), 1234567890);
    assert_true(env->random(env->ctx, bytes, sizeof(bytes)));
    assert_int_equal(bytes[3], 0x5a);
    m.healthy = false;
    assert_false(env->random(env->ctx, bytes, sizeof(bytes)));
    assert_null(env->resolver);
    page = env->alloc(env->ctx, 8192, 4096);
    assert_int_equal(m.align, 4096);
    env->free(env->ctx, page, 8192, 4096);
    page = env->alloc(env->ctx, 3, 0);
    assert_int_equal(m.align, _Alignof(max_align_t));
    env->free(env->ctx, page, 3, 0);
}

static void
a_wait_ends_at_the_earlier_deadline(void **state)
{
    const struct flow_env *env = flow_env_default();
    struct flow_wait_set set;

    (void)state;
    flow_wait_set_init(&set);
    flow_wait_add_event(&set, &m.event, 0);
    flow_wait_add_time(&set, 1007 * MSEC);
    assert_int_equal(env->wait(env->ctx, &set, 1009 * MSEC), FLOW_OK);
    assert_int_equal(m.now, 1007 * MSEC);
    assert_int_equal(env->wait(env->ctx, &set, 1005 * MSEC), FLOW_OK);
    assert_int_equal(m.idles, 1); /* that time has passed */
    assert_int_equal(env->wait(env->ctx, &set, FLOW_NOW), FLOW_OK);
    assert_int_equal(m.idles, 1);
}

static void
an_interrupt_ends_a_wait(void **state)
{
    const struct flow_env *env = flow_env_default();
    struct flow_wait_set set;

    (void)state;
    interrupt_at(1003 * MSEC, interrupt_signal);
    flow_wait_set_init(&set);
    flow_wait_add_event(&set, &m.event, flow_event_sequence(&m.event));
    assert_int_equal(env->wait(env->ctx, &set, FLOW_NEVER), FLOW_OK);
    assert_int_equal(m.now, 1003 * MSEC);
    assert_int_equal(flow_event_sequence(&m.event), 1);
    assert_true(m.masks > 0);
    assert_null(m.event.head);
}

/* The event fired after the caller looked and before it waits. */
static void
a_signal_before_the_wait_is_not_lost(void **state)
{
    const struct flow_env *env = flow_env_default();
    struct flow_wait_set set;
    uint32_t seen = flow_event_sequence(&m.event);

    (void)state;
    flow_event_signal(&m.event);
    flow_wait_set_init(&set);
    flow_wait_add_event(&set, &m.event, seen);
    assert_int_equal(env->wait(env->ctx, &set, FLOW_NEVER), FLOW_OK);
    assert_int_equal(m.idles, 0);
    assert_null(m.event.head);
}

static void
descriptors_are_refused(void **state)
{
    const struct flow_env *env = flow_env_default();
    struct flow__pollset *pollset;
    struct flow_wait_set set;

    (void)state;
    flow_wait_set_init(&set);
    flow_wait_add_fd(&set, 0, FLOW_WAIT_IN);
    assert_int_equal(env->wait(env->ctx, &set, FLOW_NEVER), FLOW_E_NOTSUP);
    assert_int_equal(flow__plat_fd_ready(0, FLOW_WAIT_IN), 0);
    assert_int_equal(flow__pollset_new(env, &pollset), FLOW_OK);
    assert_int_equal(flow__pollset_set(pollset, 0, 0, FLOW_WAIT_IN, 1),
                     FLOW_E_NOTSUP);
    assert_int_equal(flow__pollset_set(pollset, 0, 0, 0, 1), FLOW_OK);
    assert_int_equal(flow__pollset_fd(pollset), -1);
    flow__pollset_free(pollset);
}

static void
files_are_refused(void **state)
{
    const char *text = NULL;
    uint8_t *data = NULL;
    int32_t code = 0;
    size_t len = 0;

    (void)state;
    assert_int_equal(flow__plat_read_file(flow_env_default(), "/", 1, &data,
                                          &len, &code, &text),
                     FLOW_E_NOTSUP);
    assert_null(flow__plat_trust_files()[0]);
}

static unsigned once_runs;

static void
count_run(void)
{
    once_runs++;
}

static void
once_runs_once(void **state)
{
    static uint32_t word;

    (void)state;
    flow_once(count_run, &word);
    flow_once(count_run, &word);
    assert_int_equal(once_runs, 1);
    assert_int_equal(flow_process(), 1);
    *flow__plat_thread_word() = 7;
    assert_int_equal(*flow__plat_thread_word(), 7);
}

static void
flows_run_on_the_port(void **state)
{
    struct flow *a, *b;
    uint8_t buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_pair_new(flow_env_default(), 64, NULL, &a, &b),
                     FLOW_OK);
    flow_set_deadline(b, FLOW_READ, 1010 * MSEC);
    assert_int_equal(flow_read_exact(b, buf, 1, &n), FLOW_E_TIMEOUT);
    assert_int_equal(m.now, 1010 * MSEC);
    flow_set_deadline(b, FLOW_READ, FLOW_NEVER);
    m.written = a;
    interrupt_at(1020 * MSEC, interrupt_write);
    assert_int_equal(flow_read_exact(b, buf, 1, &n), FLOW_OK);
    assert_int_equal(buf[0], 'x');
    assert_int_equal(m.now, 1020 * MSEC);
    flow_close(a);
    flow_close(b);
}

static void
a_poller_runs_on_the_port(void **state)
{
    const struct flow_poller_event *event;
    struct flow_poller *poller;
    struct flow *a, *b;
    size_t n;

    (void)state;
    assert_int_equal(flow_pair_new(flow_env_default(), 64, NULL, &a, &b),
                     FLOW_OK);
    assert_int_equal(flow_poller_new(flow_env_default(), &poller), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, b, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(flow_poller_wait(poller, 1, 1010 * MSEC, &event, &n),
                     FLOW_E_TIMEOUT);
    assert_int_equal(m.now, 1010 * MSEC);
    m.written = a;
    interrupt_at(1020 * MSEC, interrupt_write);
    assert_int_equal(flow_poller_wait(poller, 1, 2000 * MSEC, &event, &n),
                     FLOW_OK);
    assert_ptr_equal(event->flow, b);
    assert_int_equal(m.now, 1020 * MSEC);
    flow_poller_free(poller);
    flow_close(a);
    flow_close(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_works_before_the_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_environment_is_the_machines, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wait_ends_at_the_earlier_deadline,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_a_wait, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_signal_before_the_wait_is_not_lost,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(once_runs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(flows_run_on_the_port, setup, teardown),
        cmocka_unit_test_setup_teardown(a_poller_runs_on_the_port, setup,
                                        teardown),
    };

    /* The machine before the start has no memory. */
    if (flow__plat_alloc(1, 1) != NULL)
        return 1;
    return cmocka_run_group_tests_name("unikernel: the machine", tests, NULL,
                                       NULL);
}
