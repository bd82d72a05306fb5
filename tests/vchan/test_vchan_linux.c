/* SPDX-License-Identifier: ISC */
/*
 * The Linux port as it ships, over Xen's libraries in memory: the devices that
 * it opens and keeps, its keys in the store, and that nothing of it remains.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "stub_world.h"

#define WRITES 500000u

/* A client that started first has watched the keys: a domain that may write
 * them could fill its memory for as long as the watch exists. */
static void
a_watch_ends_with_dialling(void **state)
{
    struct world w;
    struct flow *f[2];

    (void)state;
    world_start(&w);
    f[1] = world_dial(&w);
    assert_int_equal(flow_open(f[1]), FLOW_AGAIN);
    look(f[1], FLOW_READY_OPEN);
    world_listen(&w);
    assert_true(stub_queued() > 0);
    stub_enter(CLIENT);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    for (unsigned i = 0; i < WRITES; i++)
        stub_write(BASE "/event-channel", "1", SERVER, CLIENT);
    assert_int_equal(stub_queued(), 0);
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    pass(f[0], f[1], "all the same");
    close_pair(f);
    flow_listener_close(w.listener);
}

/* A client that gives up ends its watch too. */
static void
a_watch_ends_with_a_client_that_gives_up(void **state)
{
    unsigned before = descriptors();
    struct world w;
    struct flow *f;

    (void)state;
    world_start(&w);
    f = world_dial(&w);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    look(f, FLOW_READY_OPEN);
    assert_true(descriptors() > before);
    flow_close(f);
    assert_int_equal(descriptors(), before);
}

#define PAIRS 20u

static void
a_flow_has_two_descriptors(void **state)
{
    unsigned before = descriptors();
    unsigned first;
    struct flow *f[PAIRS][2];
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    world_connect(&w, f[0]);
    first = descriptors();
    for (unsigned i = 1; i < PAIRS; i++)
        world_connect(&w, f[i]);
    /* The channels of the client and of the server, and the view of each. */
    assert_int_equal(descriptors() - first, 2 * 2 * (PAIRS - 1));
    assert_ptr_equal(((struct vchan *)f[0][1])->conn.hyp,
                     ((struct vchan *)f[1][1])->conn.hyp);
    for (unsigned i = 0; i < PAIRS; i++)
        close_pair(f[i]);
    flow_listener_close(w.listener);
    assert_int_equal(descriptors(), before);
}

static void
only_a_server_opens_the_device_for_granting(void **state)
{
    struct world w;
    struct flow *f[2];

    (void)state;
    world_start(&w);
    f[1] = world_dial(&w);
    assert_int_equal(flow_open(f[1]), FLOW_AGAIN);
    assert_int_equal(stub_share_opens(), 0);
    world_listen(&w);
    assert_int_equal(stub_share_opens(), 1);
    assert_true(fcntl(stub_share_fd(), F_GETFD) & FD_CLOEXEC);
    fake_now += SEC;
    stub_enter(CLIENT);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    assert_int_equal(stub_share_opens(), 1);
    close_pair(f);
    flow_listener_close(w.listener);
}

static void
keys_of_another_domain_are_refused(void **state)
{
    static const uint16_t owner[] = { 5, 0, SERVER };
    struct flow_error err;
    struct world w;
    struct flow *f;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        world_start(&w);
        stub_write(BASE "/ring-ref", "77", SERVER, CLIENT);
        stub_write(BASE "/event-channel", "55", owner[i], CLIENT);
        f = world_dial(&w);
        assert_int_equal(flow_open(f), i == 0 ? FLOW_E_AUTH : FLOW_AGAIN);
        if (i == 0) {
            flow_get_error(f, FLOW_READ, &err);
            assert_string_equal(err.text,
                                "the keys in the store belong to another "
                                "domain");
            assert_string_equal(err.detail, BASE);
        }
        flow_close(f);
        world_start(&w);
        stub_write(BASE "/ring-ref", "77", owner[i], CLIENT);
        stub_write(BASE "/event-channel", "55", SERVER, CLIENT);
        f = world_dial(&w);
        assert_int_equal(flow_open(f), i == 0 ? FLOW_E_AUTH : FLOW_AGAIN);
        flow_close(f);
    }
}

static void
nothing_is_left_in_the_store(void **state)
{
    struct world w;
    struct flow *f[2];

    (void)state;
    world_start(&w);
    world_listen(&w);
    assert_non_null(stub_value(BASE "/event-channel"));
    world_connect(&w, f);
    close_pair(f);
    flow_listener_close(w.listener);
    assert_int_equal(stub_nodes(OWN), 0);
    assert_non_null(stub_value(OWN));

    /* Nodes of other programs at these places stay. */
    stub_write(OWN "/vchan/7/y/egg", "kept", SERVER, SERVER);
    world_listen(&w);
    flow_listener_close(w.listener);
    assert_string_equal(stub_value(OWN "/vchan/7/y/egg"), "kept");
    assert_null(stub_value(BASE));

    /* The parent of the caller's path belongs to the caller. */
    stub_write(OWN "/mine", "", SERVER, SERVER);
    stub_enter(SERVER);
    assert_int_equal(flow_vchan_listen(&w.env[0], CLIENT, OWN "/mine/place",
                                       NULL, &w.listener, NULL),
                     FLOW_OK);
    flow_listener_close(w.listener);
    assert_non_null(stub_value(OWN "/mine"));
    assert_null(stub_value(OWN "/mine/place"));
}

/* The listener sleeps until an event or its deadline. */
static void
listener_sleeps(struct flow_listener *l)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(l, &set));
    assert_true(set.deadline > fake_now);
    fake_now = set.deadline;
}

static void
expect_served(struct world *w, struct flow *f)
{
    uint64_t end = fake_now + 20 * SEC;
    struct flow *served;

    for (;;) {
        stub_enter(CLIENT);
        if (flow_open(f) == FLOW_OK)
            break;
        look(f, FLOW_READY_OPEN);
        assert_true(fake_now < end);
        stub_enter(SERVER);
        listener_sleeps(w->listener);
    }
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w->listener, &served), FLOW_OK);
    pass(served, f, "hello");
    flow_close(served);
}

/* xenstored ignores permissions that a domain's number got before it
 * existed. */
static void
a_listener_may_be_older_than_its_peers_domain(void **state)
{
    struct world w;
    struct flow *f;

    (void)state;
    for (unsigned calls = 0; calls < 2; calls++) {
        world_start(&w);
        stub_reset();
        stub_introduce(SERVER);
        stub_allow_calls(calls == 1);
        world_listen(&w);
        for (unsigned i = 0; i < 10; i++)
            listener_sleeps(w.listener);
        stub_introduce(CLIENT);
        f = world_dial(&w);
        assert_int_equal(flow_open(f), FLOW_AGAIN);
        expect_served(&w, f);
        flow_close(f);
        flow_listener_close(w.listener);
    }
}

/* An idle listener whose peer exists sleeps without a deadline. */
static void
a_listener_publishes_no_longer_than_it_must(void **state)
{
    struct flow_wait_set set;
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    for (unsigned i = 0; i < 4; i++)
        listener_sleeps(w.listener);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(w.listener, &set));
    assert_int_equal(set.deadline, FLOW_NEVER);
    flow_listener_close(w.listener);
}

/* The driver's errors for a reference that is not granted. */
static void
a_grant_that_is_gone_is_an_offer_that_is_stale(void **state)
{
    struct world w;
    struct flow *f[2];

    (void)state;
    world_start(&w);
    world_listen(&w);
    f[1] = world_dial(&w);
    stub_fail_map(EINVAL);
    assert_int_equal(flow_open(f[1]), FLOW_AGAIN);
    stub_fail_map(0);
    fake_now += SEC;
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    flow_close(f[1]);
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    flow_close(f[0]);
    f[1] = world_dial(&w);
    stub_fail_map(EPERM);
    assert_int_equal(flow_open(f[1]), FLOW_E_SYS);
    flow_close(f[1]);
    flow_listener_close(w.listener);
}

static void
each_end_knows_the_others_port(void **state)
{
    struct world w;
    struct flow *f[2];
    uint32_t port;
    size_t len;

    (void)state;
    for (unsigned calls = 0; calls < 2; calls++) {
        world_start(&w);
        stub_allow_calls(calls == 1);
        world_listen(&w);
        world_connect(&w, f);
        for (unsigned i = 0; i < 2; i++) {
            const struct vchan_conn *other = &((struct vchan *)f[!i])->conn;
            enum flow_status st;

            len = sizeof(port);
            st = flow_query(f[i], FLOW_QUERY_PEER_PORT, &port, &len);
            if (i == 0 && calls == 0) {
                /* A server has to ask the hypervisor. */
                assert_int_equal(st, FLOW_E_NOTSUP);
                continue;
            }
            assert_int_equal(st, FLOW_OK);
            assert_int_equal(port, other->hyp->events->port(other->channel));
        }
        close_pair(f);
        flow_listener_close(w.listener);
    }
}

/* How many of the granted pages this process has. */
static unsigned
grants_mapped(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned count = 0;
    char line[512];

    if (maps == NULL)
        return UINT32_MAX;
    while (fgets(line, sizeof(line), maps) != NULL)
        count += strstr(line, "memfd:grants") != NULL;
    fclose(maps);
    return count;
}

/* The result of a child, as its exit code; 0: success. */
static int
child_closes(struct world *w, struct flow *f[2], struct flow *dials)
{
    struct flow_error err;
    char byte;
    size_t n;

    if (grants_mapped() != 0)
        return 1;
    if (flow_read(f[0], &byte, 1, &n) != FLOW_E_INVAL ||
        flow_write(f[1], "x", 1, &n) != FLOW_E_INVAL ||
        flow_open(dials) != FLOW_E_INVAL)
        return 2;
    flow_get_error(f[0], FLOW_READ, &err);
    if (err.text == NULL || err.hint == NULL)
        return 3;
    if (flow_accept(w->listener, &dials) != FLOW_E_INVAL)
        return 4;
    flow_close(f[0]);
    flow_close(f[1]);
    flow_close(dials);
    flow_listener_close(w->listener);
    return 0;
}

static void
a_child_closes_and_the_parent_goes_on(void **state)
{
    struct world w;
    struct flow *f[2];
    struct flow *dials;
    int status;
    pid_t pid;

    (void)state;
    world_start(&w);
    dials = world_dial(&w);
    assert_int_equal(flow_open(dials), FLOW_AGAIN);
    look(dials, FLOW_READY_OPEN);
    world_listen(&w);
    world_connect(&w, f);
    assert_true(grants_mapped() > 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child_closes(&w, f, dials));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    pass(f[0], f[1], "untouched");
    pass(f[1], f[0], "both ways");
    stub_enter(CLIENT);
    fake_now += SEC;
    assert_int_equal(flow_open(dials), FLOW_OK);
    close_pair(f);
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    pass(f[0], dials, "the next one too");
    flow_close(f[0]);
    flow_close(dials);
    flow_listener_close(w.listener);
}

/* A child may have vchans through a handle of its own. */
static void
a_child_opens_a_handle_of_its_own(void **state)
{
    struct world w;
    struct flow *f;
    int status;
    pid_t pid;

    (void)state;
    world_start(&w);
    f = world_dial(&w);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct flow *mine = world_dial(&w);
        bool shared =
            ((struct vchan *)mine)->conn.hyp == ((struct vchan *)f)->conn.hyp;

        flow_close(mine);
        flow_close(f);
        _exit(shared ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    flow_close(f);
}

/* The migration is noticed when the next vchan is opened, which has the new
 * number. */
static void
a_migrated_domain_starts_anew(void **state)
{
    struct flow_error err;
    struct world w;
    struct flow *f[2];
    struct flow *after;
    char byte;
    size_t n;

    (void)state;
    world_start(&w);
    world_listen(&w);
    world_connect(&w, f);
    stub_migrate(CLIENT, 9);
    stub_enter(9);
    assert_int_equal(
        flow_vchan_connect(&w.env[1], SERVER, "x", NULL, &after, NULL),
        FLOW_OK);
    assert_int_equal(((struct vchan *)after)->conn.hyp->domid, 9);
    assert_int_equal(flow_read(f[1], &byte, 1, &n), FLOW_E_RESET);
    flow_get_error(f[1], FLOW_READ, &err);
    assert_string_equal(err.text, "this domain was suspended or migrated: "
                                  "its event channels are lost");
    flow_close(after);
    close_pair(f);
    flow_listener_close(w.listener);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_ends_with_dialling),
        cmocka_unit_test(a_watch_ends_with_a_client_that_gives_up),
        cmocka_unit_test(a_flow_has_two_descriptors),
        cmocka_unit_test(only_a_server_opens_the_device_for_granting),
        cmocka_unit_test(keys_of_another_domain_are_refused),
        cmocka_unit_test(nothing_is_left_in_the_store),
        cmocka_unit_test(a_listener_may_be_older_than_its_peers_domain),
        cmocka_unit_test(a_listener_publishes_no_longer_than_it_must),
        cmocka_unit_test(a_grant_that_is_gone_is_an_offer_that_is_stale),
        cmocka_unit_test(each_end_knows_the_others_port),
        cmocka_unit_test(a_child_closes_and_the_parent_goes_on),
        cmocka_unit_test(a_child_opens_a_handle_of_its_own),
        cmocka_unit_test(a_migrated_domain_starts_anew),
    };

    return cmocka_run_group_tests_name("vchan: the Linux port", tests, NULL,
                                       NULL);
}
