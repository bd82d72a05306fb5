/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/listener.h>
#include <flow/poller.h>

#include "flow/schemes.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)

/* A listener with a given number of connections in its backlog. */
struct mock_listener {
    struct flow_listener base;
    unsigned waiting;
    enum flow_status fail;
};

static enum flow_status
mock_accept(struct flow_listener *l, struct flow **ret_flow)
{
    struct mock_listener *m = (struct mock_listener *)(void *)l;

    if (m->fail != FLOW_OK)
        return flow_listener_fail(l, m->fail, FLOW_DOMAIN_ERRNO, 24,
                                  "no descriptors left");
    if (m->waiting == 0)
        return FLOW_AGAIN;
    m->waiting--;
    *ret_flow = &mock_new(l->env, MOCK_CAPS)->base;
    return FLOW_OK;
}

static bool
mock_wait(struct flow_listener *l, struct flow_wait_set *set)
{
    (void)set;
    return ((struct mock_listener *)(void *)l)->waiting > 0;
}

static void
mock_close(struct flow_listener *l)
{
    (void)l;
}

static const struct flow_listener_ops mock_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "mock",
    .accept = mock_accept,
    .wait = mock_wait,
    .close = mock_close,
};

static struct flow__fake fake;
static struct mock_listener listener;

static int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    listener.waiting = 0;
    listener.fail = FLOW_OK;
    flow_listener_init(&listener.base, &mock_ops, &fake.env);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    flow_listener_close(&listener.base);
    return fake.live_blocks == 0 ? 0 : -1;
}

static void
listener_accepts_and_works_on_after_errors(void **state)
{
    struct flow_listener *l = &listener.base;
    struct flow_error err;
    struct flow *f;

    (void)state;
    assert_int_equal(flow_accept(l, &f), FLOW_AGAIN);
    listener.fail = FLOW_E_SYS;
    assert_int_equal(flow_accept(l, &f), FLOW_E_SYS);
    flow_listener_get_error(l, &err);
    assert_int_equal(err.code, 24);
    listener.fail = FLOW_OK;
    listener.waiting = 1;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    flow_close(f);
    flow_listener_set_deadline(l, fake.now + SEC);
    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_TIMEOUT);
    listener.waiting = 1;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    flow_close(f);
    flow_listener_abort(l);
    assert_int_equal(flow_accept(l, &f), FLOW_E_CANCELED);
    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_CANCELED);
    flow_listener_close(NULL);
}

static void
listener_has_a_description(void **state)
{
    size_t len = 16;
    char text[16];

    (void)state;
    assert_int_equal(
        flow_listener_query(&listener.base, FLOW_QUERY_DESCRIPTION, text, &len),
        FLOW_OK);
    assert_string_equal(text, "mock");
    len = sizeof(text);
    assert_int_equal(
        flow_listener_query(&listener.base, FLOW_QUERY_FD, text, &len),
        FLOW_E_NOTSUP);
}

static void *
abort_listener(void *arg)
{
    flow_listener_abort(arg);
    return NULL;
}

static void
abort_ends_a_waiting_accept(void **state)
{
    struct mock_listener live = { .waiting = 0 };
    pthread_t thread;
    struct flow *f;

    (void)state;
    flow_listener_init(&live.base, &mock_ops, flow_env_default());
    assert_int_equal(pthread_create(&thread, NULL, abort_listener, &live.base),
                     0);
    assert_int_equal(flow_accept_wait(&live.base, &f), FLOW_E_CANCELED);
    pthread_join(thread, NULL);
    flow_listener_close(&live.base);
}

/* As a wait source, a passed deadline would wake the caller for ever. */
static void
passed_deadline_is_not_a_wait_source(void **state)
{
    struct flow_wait_set set;

    (void)state;
    flow_listener_set_deadline(&listener.base, 5 * SEC);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(&listener.base, &set));
    assert_true(set.deadline == 5 * SEC);
    fake.now = 6 * SEC;
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(&listener.base, &set));
    assert_true(set.deadline == FLOW_NEVER);
}

/* It is reported once, without a busy loop. */
static void
poller_reports_a_listener_past_its_deadline(void **state)
{
    const struct flow_poller_event *ev;
    struct flow_poller *p;
    size_t n;

    (void)state;
    assert_int_equal(flow_poller_new(&fake.env, &p), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(p, &listener.base, NULL),
                     FLOW_OK);
    flow_listener_set_deadline(&listener.base, 5 * SEC);
    fake.now = 6 * SEC;
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].listener, &listener.base);
    assert_int_equal(ev[0].ready, FLOW_READY_DEADLINE);
    flow_listener_set_deadline(&listener.base, FLOW_NEVER);
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NOW, &ev, &n), FLOW_E_TIMEOUT);
    flow_poller_free(p);
}

static void
poller_reports_a_listener(void **state)
{
    const struct flow_poller_event *ev;
    struct flow_poller *p;
    struct flow *f;
    size_t n;

    (void)state;
    assert_int_equal(flow_poller_new(&fake.env, &p), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(p, &listener.base, &n), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(p, &listener.base, &n),
                     FLOW_E_INVAL);
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NOW, &ev, &n), FLOW_E_TIMEOUT);
    listener.waiting = 1;
    flow_event_signal(&listener.base.wake);
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].listener, &listener.base);
    assert_ptr_equal(ev[0].user, &n);
    assert_int_equal(ev[0].ready, FLOW_READY_ACCEPT);
    assert_int_equal(flow_accept(&listener.base, &f), FLOW_OK);
    flow_close(f);
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NOW, &ev, &n), FLOW_E_TIMEOUT);
    flow_poller_remove_listener(p, &listener.base);
    flow_poller_free(p);
    flow_poller_free(NULL);
}

/* --- endpoints ------------------------------------------------------------ */

static const char *seen_rest;
static uint64_t seen_timeout;

static enum flow_status
mock_dial(const struct flow_env *env, const char *rest,
          const struct flow_endpoint_options *opt, struct flow **ret_flow,
          struct flow_error *err)
{
    (void)err;
    seen_rest = rest;
    seen_timeout = opt->timeout;
    *ret_flow = &mock_new(env, MOCK_CAPS)->base;
    return FLOW_OK;
}

static enum flow_status
wrap_dial(const struct flow_env *env, const char *rest,
          const struct flow_endpoint_options *opt, struct flow **ret_flow,
          struct flow_error *err)
{
    enum flow_status st = flow_endpoint_dial(env, rest, opt, ret_flow, err);

    flow_error_add_layer(err, "wrap");
    return st;
}

static enum flow_status
mock_listen(const struct flow_env *env, const char *rest,
            const struct flow_endpoint_options *opt,
            struct flow_listener **ret_listener, struct flow_error *err)
{
    (void)env;
    (void)opt;
    (void)ret_listener;
    seen_rest = rest;
    return flow_error_set(err, FLOW_E_SYS, "mock", FLOW_DOMAIN_ERRNO, 98,
                          "address already in use");
}

static const struct flow_scheme mock_scheme = { .name = "mock",
                                                .syntax = "mock:NAME",
                                                .dial = mock_dial };
static const struct flow_scheme wrap_scheme = { .name = "wrap+",
                                                .syntax = "wrap+...",
                                                .dial = wrap_dial,
                                                .listen = mock_listen };

/* In place of the list that the build makes. */
const struct flow_scheme *const flow__schemes[] = { &mock_scheme, &wrap_scheme,
                                                    NULL };

static void
endpoint_names_find_their_scheme(void **state)
{
    const struct flow_endpoint_options opt = { .timeout = 7 };
    struct flow *f;

    (void)state;
    assert_int_equal(flow_endpoint_dial(&fake.env, "mock:a:b", &opt, &f, NULL),
                     FLOW_OK);
    assert_string_equal(seen_rest, "a:b");
    assert_int_equal(seen_timeout, 7);
    flow_close(f);
    assert_int_equal(
        flow_endpoint_dial(&fake.env, "wrap+wrap+mock:x", NULL, &f, NULL),
        FLOW_OK);
    assert_string_equal(seen_rest, "x");
    assert_int_equal(seen_timeout, 0);
    flow_close(f);
    assert_ptr_equal(flow_endpoint_schemes()[0], &mock_scheme);
}

static void
refused_endpoint_names_list_the_schemes(void **state)
{
    static const char *const unknown[] = { "mocks:x", "moc:x", "wrap:x",
                                           "wrap+other:x", ":" };
    struct flow_listener *l = NULL;
    struct flow_error err;
    struct flow *f = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(unknown); i++) {
        assert_int_equal(
            flow_endpoint_dial(&fake.env, unknown[i], NULL, &f, &err),
            FLOW_E_NOTSUP);
        assert_string_equal(err.detail, "this build has mock: wrap+...");
    }
    assert_int_equal(flow_endpoint_dial(&fake.env, "mock", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_endpoint_dial(&fake.env, "", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_endpoint_listen(NULL, "mock:x", NULL, &l, &err),
                     FLOW_E_NOTSUP);
    assert_string_equal(err.detail, "mock");
    assert_int_equal(flow_endpoint_listen(NULL, "wrap+x", NULL, &l, &err),
                     FLOW_E_SYS);
    assert_int_equal(err.code, 98);
    assert_null(f);
    assert_null(l);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listener_accepts_and_works_on_after_errors),
        TEST(listener_has_a_description),
        TEST(abort_ends_a_waiting_accept),
        TEST(passed_deadline_is_not_a_wait_source),
        TEST(poller_reports_a_listener),
        TEST(poller_reports_a_listener_past_its_deadline),
        TEST(endpoint_names_find_their_scheme),
        TEST(refused_endpoint_names_list_the_schemes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
