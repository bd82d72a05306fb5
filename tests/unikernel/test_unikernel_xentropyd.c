/* SPDX-License-Identifier: ISC */
/*
 * The entropy channel of a Xen host: domain 3 is the guest, and domain 7 does
 * what xentropyd does, over the hypervisor and the store of xen_world.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/hyp_unikernel.h"
#include "backends/vchan/hyp_unikernel_entropy.h"
#include "tests/unikernel/xen_world.h"

#include <xen/io/console.h>

#define REQUEST "Hello, may I have some entropy?\r\n"
#define ANSWER  "You may treat everything following this message as entropy.\r\n"

struct fixture {
    struct xen_world *world;
    struct vchan_hyp *guest, *host;
    struct unikernel_entropy *entropy;
    struct xen_domain *domain; /* the guest's */
    /* The daemon's view. */
    struct vchan_channel *channel;
    struct vchan_region *region;
    struct xencons_interface *ring;
};

static const struct vchan_unmap_notify nothing = { VCHAN_CLEAR_NONE, NULL };

static int
setup(void **state)
{
    static struct fixture f;
    struct xen_world *world = xen_world_new(flow_env_default());

    memset(&f, 0, sizeof(f));
    f.world = world;
    f.domain = xen_world_domain(world, 3);
    f.guest = xen_domain_start(f.domain);
    f.host = xen_domain_start(xen_world_domain(world, 7));
    *state = &f;
    return f.guest != NULL && f.host != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    if (f->region != NULL)
        f->host->grants->unmap(f->host, f->region);
    if (f->channel != NULL)
        f->host->events->close(f->channel);
    if (f->entropy != NULL)
        flow__unikernel_entropy_close(f->entropy);
    if (xen_domain_granted(f->domain) != 0)
        return -1;
    flow__vchan_hyp_unref(f->guest);
    flow__vchan_hyp_unref(f->host);
    return 0;
}

/* As the toolstack does. */
static void
console_write(const struct fixture *f, const char *console, const char *key,
              const char *value)
{
    char path[128];

    xen_world_write(f->world, "/local/domain/3/device/console", "");
    snprintf(path, sizeof(path), "/local/domain/3/device/console/%s", console);
    xen_world_write(f->world, path, "");
    xen_world_give(f->world, path, 3);
    snprintf(path, sizeof(path), "/local/domain/3/device/console/%s/%s",
             console, key);
    xen_world_write(f->world, path, value);
}

static uint32_t
node_number(const struct fixture *f, const char *path)
{
    char text[16] = { 0 };
    const struct flow_guest_request request = { .op = FLOW_GUEST_STORE_READ,
                                                .path = path,
                                                .answer = text,
                                                .size = sizeof(text) - 1 };
    size_t len;

    assert_int_equal(
        flow__unikernel_xs_call(flow__unikernel_of(f->guest), &request, &len),
        0);
    return (uint32_t)strtoul(text, NULL, 10);
}

static enum flow_status
try_open(struct fixture *f, struct flow_error *err)
{
    return flow__unikernel_entropy_open(flow__unikernel_of(f->guest),
                                        &f->entropy, err);
}

/* The toolstack makes the nodes, the guest fills them in, the daemon binds. */
static void
connect_both(struct fixture *f)
{
    uint32_t ref;

    console_write(f, "1", "name", "org.example.terminal");
    console_write(f, "2", "name", "org.openmirage.entropy.1");
    console_write(f, "2", "backend-id", "7");
    assert_int_equal(try_open(f, NULL), FLOW_OK);
    assert_int_equal(node_number(f, "device/console/2/state"), 3);
    ref = node_number(f, "device/console/2/ring-ref");
    assert_int_equal(f->host->events->bind(
                         f->host, 3, node_number(f, "device/console/2/port"),
                         &f->channel, NULL),
                     FLOW_OK);
    assert_int_equal(f->host->grants->map(f->host, 3, &ref, 1, true, nothing,
                                          &f->region, NULL),
                     FLOW_OK);
    f->ring = (struct xencons_interface *)(void *)f->region->base;
}

/* As much as fits. */
static size_t
say(struct fixture *f, const char *text, size_t len)
{
    size_t done = 0;

    while (done < len &&
           f->ring->in_prod - f->ring->in_cons < sizeof(f->ring->in))
        f->ring->in[MASK_XENCONS_IDX(f->ring->in_prod++, f->ring->in)] =
            text[done++];
    f->host->events->notify(f->channel);
    return done;
}

static size_t
hear(const struct fixture *f, uint8_t *buf, size_t len)
{
    const struct flow_entropy_source *source =
        flow__unikernel_entropy_source(f->entropy);

    return source->read(source->ctx, buf, len);
}

static void
the_guest_asks_and_takes_what_comes_after_the_answer(void **state)
{
    static const char answer[] = ANSWER "0123456789";
    struct fixture *f = *state;
    const struct flow_entropy_source *source;
    uint8_t buf[16];
    size_t i;

    connect_both(f);
    source = flow__unikernel_entropy_source(f->entropy);
    assert_string_equal(source->name, "xentropyd");
    assert_false(source->fresh);
    assert_int_equal(f->ring->out_prod, strlen(REQUEST));
    assert_memory_equal(f->ring->out, REQUEST, strlen(REQUEST));
    assert_int_equal(hear(f, buf, sizeof(buf)), 0);
    (void)f->host->events->drain(f->channel);
    say(f, answer, strlen(answer));
    assert_int_equal(hear(f, buf, 4), 4);
    assert_memory_equal(buf, "0123", 4);
    assert_true(f->host->events->drain(f->channel));
    assert_int_equal(hear(f, buf, sizeof(buf)), 6);
    assert_memory_equal(buf, "456789", 6);
    assert_int_equal(hear(f, buf, sizeof(buf)), 0);
    for (i = 0; i < sizeof(f->ring->in); i++)
        assert_int_equal(f->ring->in[i], 0);
}

/* A terminal that echoes, and an answer in single bytes. */
static void
no_byte_before_the_answer_is_taken(void **state)
{
    static const char text[] = "login: You may treat\r\nYYou may treat every"
                               "one\r\n" REQUEST ANSWER "x";
    struct fixture *f = *state;
    uint8_t buf[8];
    size_t i;

    connect_both(f);
    for (i = 0; text[i] != 'x'; i++) {
        say(f, text + i, 1);
        assert_int_equal(hear(f, buf, sizeof(buf)), 0);
    }
    say(f, "x" ANSWER, 1 + strlen(ANSWER));
    assert_int_equal(hear(f, buf, sizeof(buf)), 8);
    assert_memory_equal(buf, "xYou may", 8);
}

static void
indexes_wrap_and_the_ring_may_be_full(void **state)
{
    struct fixture *f = *state;
    char bytes[700];
    uint8_t buf[300];
    size_t sent = 0, got = 0, n, i;

    connect_both(f);
    say(f, ANSWER, strlen(ANSWER));
    while (got < 10000) {
        for (i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)(sent + i);
        sent += say(f, bytes, sizeof(bytes));
        n = hear(f, buf, sizeof(buf));
        assert_true(n > 0);
        for (i = 0; i < n; i++)
            assert_int_equal(buf[i], (uint8_t)(got + i));
        got += n;
    }
}

/* A host that lies about its index is not listened to any more. */
static void
an_index_that_cannot_be_ends_the_channel(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[8];

    connect_both(f);
    say(f, ANSWER "abc", strlen(ANSWER "abc"));
    assert_int_equal(hear(f, buf, 1), 1);
    f->ring->in_prod += 2000;
    assert_int_equal(hear(f, buf, sizeof(buf)), 0);
    f->ring->in_prod -= 2000;
    assert_int_equal(hear(f, buf, sizeof(buf)), 0);
}

/* What it had sent is used; then there is no more, and nothing is lost. */
static void
a_daemon_may_end(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[8];

    connect_both(f);
    say(f, ANSWER "abcd", strlen(ANSWER "abcd"));
    assert_int_equal(hear(f, buf, 1), 1);
    f->host->grants->unmap(f->host, f->region);
    f->host->events->close(f->channel);
    f->region = NULL;
    f->channel = NULL;
    assert_int_equal(hear(f, buf, sizeof(buf)), 3);
    assert_memory_equal(buf, "bcd", 3);
    assert_int_equal(hear(f, buf, sizeof(buf)), 0);
}

static void
a_host_without_the_channel_is_told(void **state)
{
    struct fixture *f = *state;
    struct flow_error err;

    assert_int_equal(try_open(f, &err), FLOW_E_NOTSUP);
    assert_string_equal(err.hint, "run xentropyd in domain 0");
    console_write(f, "1", "name", "org.openmirage.entropy.11");
    assert_int_equal(try_open(f, &err), FLOW_E_NOTSUP);
    console_write(f, "2", "name", "org.openmirage.entropy.1");
    assert_int_equal(try_open(f, &err), FLOW_E_SYS);
    assert_string_equal(err.text, "the entropy channel has no domain");
    console_write(f, "2", "backend-id", "many");
    assert_int_equal(try_open(f, &err), FLOW_E_SYS);
    assert_null(f->entropy);
    assert_int_equal(xen_domain_granted(f->domain), 0);
    console_write(f, "2", "backend-id", "7");
    assert_int_equal(try_open(f, &err), FLOW_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_guest_asks_and_takes_what_comes_after_the_answer, setup,
            teardown),
        cmocka_unit_test_setup_teardown(no_byte_before_the_answer_is_taken,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_wrap_and_the_ring_may_be_full,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_index_that_cannot_be_ends_the_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_may_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_without_the_channel_is_told,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("unikernel: xentropyd", tests, NULL,
                                       NULL);
}
