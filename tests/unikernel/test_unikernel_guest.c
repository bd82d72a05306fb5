/* SPDX-License-Identifier: ISC */
/*
 * A whole unikernel in a program: the library on its port for such machines,
 * as domain 1, whose peer is another guest of the same world.  There is one
 * thread and no interrupt: flow_machine.idle polls the ports of domain 1, and
 * the peer acts while it sleeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/endpoint.h>
#include <flow/guest.h>
#include <flow/machine.h>
#include <flow/poller.h>
#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_unikernel.h"
#include "backends/vchan/proto.h"
#include "backends/vchan/vchan.h"
#include "tests/unikernel/heap.h"
#include "tests/unikernel/xen_world.h"

#include <xen/io/console.h>
#include <xen/xen.h>

#define SEC UINT64_C(1000000000)

static struct {
    uint64_t now;
    struct xen_world *world;
    struct xen_domain *domain[2];
    struct vchan_hyp *peer; /* domain 2, with interrupts */
    struct flow *dialled;   /* the peer's flow */
    void (*peer_acts)(void);
} m;

static uint64_t
machine_now(void *ctx)
{
    (void)ctx;
    return m.now;
}

static void
machine_idle(void *ctx, uint64_t deadline, const uint32_t *woken)
{
    void (*acts)(void) = m.peer_acts;
    struct shared_info *info = xen_domain_guest(m.domain[0])->shared_info;

    (void)ctx;
    assert_int_equal(*woken, 0);
    m.peer_acts = NULL;
    if (acts != NULL)
        acts();
    else if (deadline != 0)
        m.now = deadline;
    else
        fail_msg("nothing would end this sleep");
    flow_guest_idle(deadline);
    /* Without interrupts every port stays masked. */
    assert_int_equal(info->evtchn_mask[0], ~(xen_ulong_t)0);
}

static const struct flow_machine machine = {
    .now = machine_now,
    .alloc = heap_alloc,
    .free = heap_free,
    .idle = machine_idle,
};

/* Nothing works before the guest is started, and it starts once. */
static void
the_guest_is_started(void **state)
{
    const struct flow_entropy_source *source;
    struct flow_guest_watch *watch;
    struct flow_guest_request request = { .op = FLOW_GUEST_STORE_READ,
                                          .path = "domid" };
    struct flow_guest bare = *xen_domain_guest(m.domain[0]);
    struct flow_listener *l;
    struct flow_error err;
    size_t n;

    (void)state;
    assert_int_equal(flow_vchan_listen(NULL, 2, "x", NULL, &l, &err),
                     FLOW_E_NOTSUP);
    assert_string_equal(err.hint, "call flow_guest_start() first");
    assert_int_equal(flow_guest_store(&request, &n, &err), FLOW_E_NOTSUP);
    assert_int_equal(flow_guest_entropy(&source, &err), FLOW_E_NOTSUP);
    assert_string_equal(err.hint, "call flow_guest_start() first");
    assert_int_equal(flow_guest_watch_open("x", &watch, &err), FLOW_E_NOTSUP);
    assert_int_equal(flow_guest_console_write("x", 1), 0);
    flow_guest_idle(1);
    flow_guest_upcall();
    flow_guest_stop();
    bare.grant_frames = 0;
    assert_int_equal(flow_guest_start(NULL, &bare, &err), FLOW_E_INVAL);
    assert_int_equal(
        flow_guest_start(NULL, xen_domain_guest(m.domain[0]), &err), FLOW_OK);
    assert_int_equal(
        flow_guest_start(NULL, xen_domain_guest(m.domain[0]), &err),
        FLOW_E_INVAL);
}

static void
peer_dials(void)
{
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(m.peer), 1, "x",
                                            NULL, &m.dialled, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(m.dialled), FLOW_OK);
}

static void
peer_writes(void)
{
    size_t n;

    assert_int_equal(flow_write(m.dialled, "hello", 5, &n), FLOW_OK);
}

static void
peer_closes(void)
{
    flow_close(m.dialled);
    m.dialled = NULL;
}

static void
a_server_waits_in_the_hypervisor(void **state)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_vchan_listen(NULL, 2, "x", NULL, &l, &err), FLOW_OK);
    m.peer_acts = peer_dials;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    m.peer_acts = peer_writes;
    assert_int_equal(flow_read_exact(f, buf, 5, &n), FLOW_OK);
    assert_memory_equal(buf, "hello", 5);
    m.peer_acts = peer_closes;
    assert_int_equal(flow_read_exact(f, buf, 1, &n), FLOW_EOF);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(xen_domain_granted(m.domain[0]), 0);
    assert_int_equal(xen_domain_pages(m.domain[0]), 0);
}

static void
a_server_waits_in_a_poller(void **state)
{
    const struct flow_poller_event *event;
    struct flow_poller *poller;
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    size_t n;

    (void)state;
    assert_int_equal(flow_endpoint_listen(NULL, "vchan://2/x", NULL, &l, &err),
                     FLOW_OK);
    assert_int_equal(flow_poller_new(flow_env_default(), &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    m.peer_acts = peer_dials;
    assert_int_equal(flow_poller_wait(poller, 1, FLOW_NEVER, &event, &n),
                     FLOW_OK);
    assert_ptr_equal(event->listener, l);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, f, FLOW_READY_READ, NULL),
                     FLOW_OK);
    m.peer_acts = peer_writes;
    assert_int_equal(flow_poller_wait(poller, 1, FLOW_NEVER, &event, &n),
                     FLOW_OK);
    assert_ptr_equal(event->flow, f);
    flow_poller_free(poller);
    peer_closes();
    flow_close(f);
    flow_listener_close(l);
}

static struct flow_listener *peer_listener;
static struct flow *peer_accepted;

static void
peer_listens(void)
{
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(m.peer), 1, "y",
                                           NULL, &peer_listener, NULL),
                     FLOW_OK);
}

static void
a_client_waits_for_its_server(void **state)
{
    struct flow_error err;
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_vchan_connect(NULL, 2, "y", NULL, &f, &err), FLOW_OK);
    m.peer_acts = peer_listens;
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_int_equal(flow_accept(peer_listener, &peer_accepted), FLOW_OK);
    assert_int_equal(flow_write_all(f, "hello", 5, &n), FLOW_OK);
    assert_int_equal(flow_read(peer_accepted, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 5);
    flow_close(f);
    assert_int_equal(flow_read(peer_accepted, buf, sizeof(buf), &n), FLOW_EOF);
    flow_close(peer_accepted);
    flow_listener_close(peer_listener);
    assert_int_equal(xen_domain_mapped(m.domain[0]), 0);
}

/* A peer whose domain is destroyed sends nothing. */
static void
peer_is_destroyed(void)
{
    xen_domain_destroy(m.domain[1]);
}

static void
a_stopped_guest_tells_its_peers(void **state)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_vchan_listen(NULL, 2, "x", NULL, &l, &err), FLOW_OK);
    m.peer_acts = peer_dials;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    assert_int_equal(flow_write_all(f, "bye", 3, &n), FLOW_OK);
    flow_guest_stop();
    assert_int_equal(flow_read(m.dialled, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 3);
    assert_int_equal(flow_read(m.dialled, buf, sizeof(buf), &n), FLOW_EOF);
    peer_closes();
    flow_close(f);
    flow_listener_close(l);
}

static void
the_store_is_watched(void **state)
{
    struct flow_guest_request read = { .op = FLOW_GUEST_STORE_READ,
                                       .path = "control/shutdown" };
    struct flow_guest_watch *watch;
    struct flow_wait_set set;
    struct flow_error err;
    char buf[16];
    size_t n;

    (void)state;
    read.answer = buf;
    read.size = sizeof(buf);
    assert_int_equal(flow_guest_watch_open("control/shutdown", &watch, &err),
                     FLOW_OK);
    assert_true(flow_guest_watch_fired(watch));
    assert_int_equal(flow_guest_store(&read, &n, &err), FLOW_E_SYS);
    assert_int_equal(err.code, 2);
    assert_string_equal(err.detail, "control/shutdown");
    assert_false(flow_guest_watch_fired(watch));
    xen_world_write(m.world, "/local/domain/1/control/shutdown", "poweroff");
    flow_wait_set_init(&set);
    flow_guest_watch_wait(watch, &set);
    m.peer_acts = NULL;
    assert_int_equal(
        flow_env_default()->wait(flow_env_default()->ctx, &set, m.now + SEC),
        FLOW_OK);
    assert_true(flow_guest_watch_fired(watch));
    assert_int_equal(flow_guest_store(&read, &n, &err), FLOW_OK);
    assert_int_equal(n, 8);
    assert_memory_equal(buf, "poweroff", 8);
    flow_guest_watch_close(watch);
    memset(buf, 'p', sizeof(buf));
    {
        char longer[300];

        memset(longer, 'p', sizeof(longer));
        longer[299] = '\0';
        assert_int_equal(flow_guest_watch_open(longer, &watch, &err),
                         FLOW_E_INVAL);
    }
}

static void
the_console_has_a_limit(void **state)
{
    struct xencons_interface *ring = xen_domain_guest(m.domain[0])->console;
    char text[3000];

    (void)state;
    memset(text, 'c', sizeof(text));
    ring->out_cons = ring->out_prod = 0xfffffff0;
    assert_int_equal(flow_guest_console_write("hello", 5), 5);
    assert_memory_equal(&ring->out[0x7f0], "hello", 5);
    assert_int_equal(ring->out_prod, 0xfffffff5);
    assert_int_equal(flow_guest_console_write(text, sizeof(text)),
                     sizeof(ring->out) - 5);
    assert_int_equal(flow_guest_console_write("x", 1), 0);
    ring->out_cons += 1;
    assert_int_equal(flow_guest_console_write("xy", 2), 1);
    /* A console that lies about its index gets nothing. */
    ring->out_cons = ring->out_prod + 1;
    assert_int_equal(flow_guest_console_write("x", 1), 0);
    ring->out_cons = ring->out_prod;
}

/* Last, since the peer does not exist any more. */
static void
a_destroyed_peer_is_noticed(void **state)
{
    uint64_t before;
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_vchan_listen(NULL, 2, "x", NULL, &l, &err), FLOW_OK);
    m.peer_acts = peer_dials;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    before = m.now;
    m.peer_acts = peer_is_destroyed;
    assert_int_equal(flow_read_exact(f, buf, 1, &n), FLOW_EOF);
    assert_in_range(m.now - before, 0, 10 * SEC);
    assert_int_equal(flow_write(f, "x", 1, &n), FLOW_E_CLOSED);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(xen_domain_granted(m.domain[0]), 0);
    assert_int_equal(xen_domain_pages(m.domain[0]), 0);
    peer_closes();
}

/* Any bytes will do, since none is read. */
static bool
mix(const uint8_t *salt, size_t salt_len, const uint8_t *input,
    size_t input_len, uint8_t *out, size_t len)
{
    (void)salt;
    (void)salt_len;
    (void)input;
    (void)input_len;
    memset(out, 0, len);
    return true;
}

/* The channel stays open, so this is the last test. */
static void
the_host_is_a_source_of_entropy(void **state)
{
    static const char node[] = "/local/domain/1/device/console/1";
    const struct flow_entropy_source *source, *again;
    const struct flow_entropy_options options = {
        .sources = &source, .source_count = 1, .mix = mix, .never_copied = true
    };
    struct flow_error err;
    uint8_t byte;

    (void)state;
    assert_int_equal(flow_guest_entropy(&source, &err), FLOW_E_NOTSUP);
    assert_string_equal(err.hint, "run xentropyd in domain 0");
    assert_non_null(xen_world_domain(m.world, 4));
    xen_world_write(m.world, "/local/domain/1/device/console", "");
    xen_world_write(m.world, node, "");
    xen_world_give(m.world, node, 1);
    xen_world_write(m.world, "/local/domain/1/device/console/1/name",
                    "org.openmirage.entropy.1");
    xen_world_write(m.world, "/local/domain/1/device/console/1/backend-id",
                    "4");
    assert_int_equal(flow_guest_entropy(&source, &err), FLOW_OK);
    assert_int_equal(flow_guest_entropy(&again, &err), FLOW_OK);
    assert_ptr_equal(source, again);
    assert_int_equal(xen_domain_granted(m.domain[0]), 1);
    assert_int_equal(flow_entropy_start(&options, &err), FLOW_OK);
    assert_false(flow_entropy_random(NULL, &byte, 1));
    flow_entropy_error(NULL, &err);
    assert_string_equal(err.detail, "xentropyd gives no bytes");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_is_started),
        cmocka_unit_test(a_server_waits_in_the_hypervisor),
        cmocka_unit_test(a_server_waits_in_a_poller),
        cmocka_unit_test(a_client_waits_for_its_server),
        cmocka_unit_test(a_stopped_guest_tells_its_peers),
        cmocka_unit_test(the_store_is_watched),
        cmocka_unit_test(the_console_has_a_limit),
        cmocka_unit_test(a_destroyed_peer_is_noticed),
        cmocka_unit_test(the_host_is_a_source_of_entropy),
    };

    m.now = 1000 * SEC;
    flow_machine_start(&machine);
    m.world = xen_world_new(flow_env_default());
    m.domain[0] = xen_world_domain(m.world, 1);
    m.domain[1] = xen_world_domain(m.world, 2);
    xen_domain_guest(m.domain[0])->interrupts = false;
    m.peer = xen_domain_start(m.domain[1]);
    if (m.peer == NULL)
        return 1;
    return cmocka_run_group_tests_name("unikernel: the guest", tests, NULL,
                                       NULL);
}
