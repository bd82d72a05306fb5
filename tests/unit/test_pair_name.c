/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "unit.h"

static struct flow_listener *
listen_as(const struct flow_env *env, const char *name, int backlog)
{
    struct flow_endpoint_options opt = { .backlog = backlog };
    struct flow_listener *l = NULL;

    assert_int_equal(flow_endpoint_listen(env, name, &opt, &l, NULL), FLOW_OK);
    return l;
}

static struct flow *
dial(const struct flow_env *env, const char *name, uint64_t timeout)
{
    struct flow_endpoint_options opt = { .timeout = timeout };
    struct flow *f = NULL;

    assert_int_equal(flow_endpoint_dial(env, name, &opt, &f, NULL), FLOW_OK);
    return f;
}

static void
bytes_pass_in_both_directions_by_name(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l;
    struct flow *a;
    struct flow *b;
    char buf[8];
    size_t len;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_as(&fake.env, "pair:there", 0);
    assert_int_equal(flow_accept(l, &b), FLOW_AGAIN);
    a = dial(&fake.env, "pair:there", 0);
    assert_true((flow_caps(a) & FLOW_CAP_NEEDS_OPEN) != 0);
    assert_int_equal(flow_accept(l, &b), FLOW_AGAIN);
    /* The first operation opens it. */
    assert_int_equal(flow_write(a, "hello", 5, &n), FLOW_OK);
    assert_int_equal(flow_accept(l, &b), FLOW_OK);
    assert_true((flow_caps(b) & FLOW_CAP_NEEDS_OPEN) == 0);
    assert_int_equal(flow_read_exact(b, buf, 5, &n), FLOW_OK);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(flow_write(b, "well", 4, &n), FLOW_OK);
    assert_int_equal(flow_read_exact(a, buf, 4, &n), FLOW_OK);
    assert_memory_equal(buf, "well", 4);
    len = sizeof(buf);
    assert_int_equal(flow_query(a, FLOW_QUERY_PEER_ADDRESS, buf, &len),
                     FLOW_E_INVAL);
    assert_int_equal(len, sizeof("pair:there"));
    /* C75. */
    flow_listener_close(l);
    assert_int_equal(flow_write(a, "on", 2, &n), FLOW_OK);
    assert_int_equal(flow_read_exact(b, buf, 2, &n), FLOW_OK);
    flow_close(b);
    flow_close(a);
    assert_int_equal(fake.live_blocks, 0);
}

static void
expect_refused(const struct flow_env *env, const char *name, const char *hint)
{
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct flow_error err;

    assert_int_equal(flow_endpoint_dial(env, name, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_null(f);
    assert_non_null(err.hint);
    assert_non_null(strstr(err.hint, hint));
    assert_int_equal(flow_endpoint_listen(env, name, NULL, &l, &err),
                     FLOW_E_INVAL);
    assert_null(l);
}

static void
invalid_names_are_refused(void **state)
{
    struct flow__fake fake;
    char name[100] = "pair:";

    (void)state;
    flow__fake_init(&fake, 1);
    expect_refused(&fake.env, "pair:", "pair:NAME");
    expect_refused(&fake.env, "pair://x", "pair:NAME");
    expect_refused(&fake.env, "pair:a b", "pair:NAME");
    memset(name + 5, 'x', 64);
    expect_refused(&fake.env, name, "1 to 63");
    name[5 + 63] = '\0';
    flow_listener_close(listen_as(&fake.env, name, 0));
    assert_int_equal(fake.live_blocks, 0);
}

static void
a_name_has_one_listener(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l;
    struct flow_listener *other = NULL;
    struct flow_error err;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_as(&fake.env, "pair:mine", 0);
    assert_int_equal(
        flow_endpoint_listen(&fake.env, "pair:mine", NULL, &other, &err),
        FLOW_E_BUSY);
    assert_null(other);
    assert_string_equal(err.detail, "mine");
    flow_listener_close(l);
    l = listen_as(&fake.env, "pair:mine", 0);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

static void
dialling_a_name_without_a_listener_fails(void **state)
{
    struct flow__fake fake;
    struct flow_error err;
    struct flow *f;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    f = dial(&fake.env, "pair:nowhere", 0);
    assert_int_equal(flow_open(f), FLOW_E_CLOSED);
    assert_int_equal(flow_read(f, NULL, 1, &n), FLOW_E_CLOSED);
    assert_int_equal(flow_write(f, "x", 1, &n), FLOW_E_CLOSED);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.detail, "pair:nowhere");
    flow_close(f);
    /* An end that was never opened disconnects its peer when it is closed. */
    flow_close(dial(&fake.env, "pair:nowhere", 0));
    assert_int_equal(fake.live_blocks, 0);
}

static void
backlog_is_bounded(void **state)
{
    struct flow__fake fake;
    struct flow_wait_set set;
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f[4];
    struct flow *accepted;
    int i;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_as(&fake.env, "pair:small", 2);
    for (i = 0; i < 4; i++)
        f[i] = dial(&fake.env, "pair:small", 1000);
    assert_int_equal(flow_open(f[0]), FLOW_OK);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_int_equal(flow_open(f[2]), FLOW_AGAIN);
    assert_int_equal(flow_open(f[3]), FLOW_AGAIN);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f[2], FLOW_READY_OPEN, &set), 0);
    assert_true(set.count > 0);

    /* A free place in the backlog wakes a dialler that waits for one. */
    assert_int_equal(flow_accept(l, &accepted), FLOW_OK);
    assert_int_not_equal(flow_event_sequence(set.source[0].event),
                         set.source[0].sequence);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f[2], FLOW_READY_OPEN, &set),
                     FLOW_READY_OPEN);
    assert_int_equal(flow_open(f[2]), FLOW_OK);

    flow__fake_advance(&fake, 1000);
    assert_int_equal(flow_open(f[3]), FLOW_E_TIMEOUT);
    flow_get_error(f[3], FLOW_WRITE, &err);
    assert_string_equal(err.detail, "pair:small");

    flow_close(accepted);
    flow_listener_close(l);
    for (i = 0; i < 4; i++)
        flow_close(f[i]);
    assert_int_equal(fake.live_blocks, 0);
}

static void
close_disconnects_waiting_diallers(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l;
    struct flow *queued;
    struct flow *waiting;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_as(&fake.env, "pair:gone", 1);
    queued = dial(&fake.env, "pair:gone", 0);
    waiting = dial(&fake.env, "pair:gone", 0);
    assert_int_equal(flow_open(queued), FLOW_OK);
    assert_int_equal(flow_open(waiting), FLOW_AGAIN);
    flow_listener_close(l);
    assert_int_equal(flow_read(queued, NULL, 1, &n), FLOW_E_TRUNCATED);
    assert_int_equal(flow_open(waiting), FLOW_E_CLOSED);
    flow_close(queued);
    flow_close(waiting);
    assert_int_equal(fake.live_blocks, 0);
}

static void
closed_dialler_is_accepted_and_has_ended(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l;
    struct flow *f;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_as(&fake.env, "pair:late", 0);
    f = dial(&fake.env, "pair:late", 0);
    assert_int_equal(flow_open(f), FLOW_OK);
    flow_close(f);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    assert_int_equal(flow_read(f, NULL, 1, &n), FLOW_E_TRUNCATED);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

static void *
serve(void *arg)
{
    struct flow_listener *l = arg;
    struct flow *f;
    char c;
    size_t n;
    int i;

    for (i = 0; i < 50; i++) {
        if (flow_accept_wait(l, &f) != FLOW_OK ||
            flow_read_exact(f, &c, 1, &n) != FLOW_OK ||
            flow_write_all(f, &c, 1, NULL) != FLOW_OK)
            return NULL;
        flow_close(f);
    }
    return l;
}

static void
client_and_server_threads_connect_by_name(void **state)
{
    struct flow_listener *l = listen_as(NULL, "pair:threads", 1);
    pthread_t thread;
    struct flow *f;
    void *result;
    size_t n;
    char c;
    int i;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, serve, l), 0);
    for (i = 0; i < 50; i++) {
        f = dial(NULL, "pair:threads", 0);
        assert_int_equal(flow_write_all(f, "q", 1, NULL), FLOW_OK);
        assert_int_equal(flow_read_exact(f, &c, 1, &n), FLOW_OK);
        assert_int_equal(c, 'q');
        flow_close(f);
    }
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    flow_listener_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_in_both_directions_by_name),
        cmocka_unit_test(invalid_names_are_refused),
        cmocka_unit_test(a_name_has_one_listener),
        cmocka_unit_test(dialling_a_name_without_a_listener_fails),
        cmocka_unit_test(backlog_is_bounded),
        cmocka_unit_test(close_disconnects_waiting_diallers),
        cmocka_unit_test(closed_dialler_is_accepted_and_has_ended),
        cmocka_unit_test(client_and_server_threads_connect_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
