/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <flow/endpoint.h>
#include <flow/unix.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "stream.h"
#include "unit.h"

#include "tests/support/child.h"

/* A directory of this test; paths in it fit into any system's address. */
static char dir[64];
static char path[80];

static int
make_dir(void **state)
{
    (void)state;
    strcpy(dir, "test-unix-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/socket", dir);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static struct flow_listener *
listen_on(const struct flow_env *env, const char *where, unsigned mode,
          int backlog)
{
    const struct flow_unix_options opt = { .mode = mode, .backlog = backlog };
    struct flow_listener *l = NULL;
    struct flow_error err;

    if (flow_unix_listen(env, where, &opt, &l, &err) != FLOW_OK)
        fail_msg("%s: %s", where, err.text);
    return l;
}

static struct flow *
dial(const struct flow_env *env, const char *where)
{
    struct flow *f = NULL;

    assert_int_equal(flow_unix_dial(env, where, NULL, &f, NULL), FLOW_OK);
    return f;
}

static void
converse(struct flow_listener *l, const char *where)
{
    struct flow *a = dial(NULL, where);
    struct flow *b;
    size_t n;
    char c;

    assert_true((flow_caps(a) & FLOW_CAP_NEEDS_OPEN) != 0);
    assert_int_equal(flow_open_wait(a), FLOW_OK);
    assert_int_equal(flow_accept_wait(l, &b), FLOW_OK);
    stream_text(a, b, "question");
    assert_int_equal(flow_shutdown(a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(b, &c, 1, &n), FLOW_EOF);
    stream_text(b, a, "answer");
    flow_close(b);
    assert_int_equal(flow_read_wait(a, &c, 1, &n), FLOW_EOF);
    flow_close(a);
}

static void
bytes_pass_and_half_close_works(void **state)
{
    struct flow_listener *l = listen_on(NULL, path, 0, 0);
    char text[80];
    size_t len = sizeof(text);

    (void)state;
    assert_int_equal(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, text, &len), FLOW_OK);
    assert_string_equal(text, path);
    converse(l, path);
    flow_listener_close(l);
}

static void
abstract_names_are_supported_on_linux(void **state)
{
    char name[100];
    struct flow_listener *l = NULL;
    struct flow_error err;

    (void)state;
    snprintf(name, sizeof(name), "@libflow-%s", dir);
#ifdef __linux__
    l = listen_on(NULL, name, 0, 0);
    converse(l, name);
    assert_int_equal(flow_unix_listen(NULL, name, NULL, &l, &err), FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    flow_listener_close(l);
    l = listen_on(NULL, name, 0, 0);
    flow_listener_close(l);
    assert_int_equal(flow_unix_listen(NULL, "@", NULL, &l, &err), FLOW_E_INVAL);
#else
    assert_int_equal(flow_unix_listen(NULL, name, NULL, &l, &err),
                     FLOW_E_INVAL);
#endif
}

static void
file_has_its_mode_and_goes_with_the_listener(void **state)
{
    struct flow_listener *l = listen_on(NULL, path, 0, 0);
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    flow_listener_close(l);
    assert_int_equal(stat(path, &st), -1);
    l = listen_on(NULL, path, 0666, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    flow_listener_close(l);
}

/* A socket file without a process, as a crash leaves it. */
static void
leave_stale(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(un.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void
stale_file_is_replaced(void **state)
{
    struct flow_listener *l;

    (void)state;
    leave_stale();
    l = listen_on(NULL, path, 0, 0);
    converse(l, path);
    flow_listener_close(l);
}

static void
listener_in_use_is_not_replaced(void **state)
{
    struct flow_listener *l = listen_on(NULL, path, 0, 0);
    struct flow_listener *other = NULL;
    struct flow_error err;
    struct flow *f;

    (void)state;
    assert_int_equal(flow_unix_listen(NULL, path, NULL, &other, &err),
                     FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    assert_string_equal(err.detail, path);
    assert_null(other);
    /* listen() connected to it to see whether it is in use, which looks like a
     * client. */
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    flow_close(f);
    converse(l, path);
    flow_listener_close(l);
}

static void
other_files_are_not_replaced(void **state)
{
    struct flow_listener *l = NULL;
    struct flow_error err;
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(flow_unix_listen(NULL, path, NULL, &l, &err), FLOW_E_SYS);
    assert_int_equal(err.code, EEXIST);
    assert_string_equal(err.text, "a file that is not a socket has this name");
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* A socket that took our path is not removed. */
static void
close_leaves_the_file_of_another(void **state)
{
    struct flow_listener *l = listen_on(NULL, path, 0, 0);
    struct flow_listener *other;
    struct stat st;

    (void)state;
    assert_int_equal(unlink(path), 0);
    other = listen_on(NULL, path, 0, 0);
    flow_listener_close(l);
    assert_int_equal(stat(path, &st), 0);
    converse(other, path);
    flow_listener_close(other);
}

static void
child_leaves_the_file_to_its_parent(void **state)
{
    struct flow_listener *l = listen_on(NULL, path, 0, 0);
    pid_t child = child_begin();

    (void)state;
    if (child == 0) {
        flow_listener_close(l);
        child_end();
    }
    child_join(child);
    converse(l, path);
    flow_listener_close(l);
    assert_int_equal(access(path, F_OK), -1);
}

static void
invalid_paths_are_refused(void **state)
{
    const struct flow_unix_options negative = { .backlog = -1 };
    const struct flow_unix_options setuid = { .mode = 04600 };
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct flow_error err;
    char longest[200];
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    (void)state;
    memset(longest, 'x', sizeof(longest));
    longest[most + 1] = '\0';
    assert_int_equal(flow_unix_dial(NULL, longest, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the path is too long for a UNIX socket");
    assert_int_equal(flow_unix_dial(NULL, "", NULL, &f, NULL), FLOW_E_INVAL);
    assert_int_equal(flow_unix_dial(NULL, "", NULL, &f, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "the path is empty");
    assert_int_equal(err.status, FLOW_E_INVAL);
    assert_int_equal(flow_unix_listen(NULL, longest, NULL, &l, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_unix_listen(NULL, path, &negative, &l, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the backlog is negative");
    assert_int_equal(flow_unix_listen(NULL, path, &setuid, &l, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.detail, path);
    assert_null(l);
    longest[most] = '\0';
    assert_int_equal(flow_unix_dial(NULL, longest, NULL, &f, NULL), FLOW_OK);
    flow_close(f);
    assert_int_equal(
        flow_unix_listen(NULL, "no-such-directory/s", NULL, &l, &err),
        FLOW_E_SYS);
    assert_int_equal(err.code, ENOENT);
}

static void
dialling_a_name_without_a_listener_fails(void **state)
{
    struct flow *f = dial(NULL, path);
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_open_wait(f), FLOW_E_SYS);
    flow_get_error(f, FLOW_READ, &err);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.detail, path);
    assert_string_equal(err.layers[0], "unix");
    flow_close(f);

    leave_stale();
    f = dial(NULL, path);
    assert_int_equal(flow_open_wait(f), FLOW_E_SYS);
    flow_get_error(f, FLOW_WRITE, &err);
    assert_int_equal(err.code, ECONNREFUSED);
    flow_close(f);
}

/* Linux provides no event for a full backlog; by the clock, which is fake
 * here. */
static void
full_backlog_is_waited_for(void **state)
{
    struct flow_endpoint_options opt = { .timeout = 100000000 };
    struct flow_listener *l;
    struct flow__fake fake;
    struct flow *f[8];
    struct flow *waiting = NULL;
    struct flow *accepted;
    struct flow_error err;
    char name[200];
    char here[100];
    size_t n = 0;
    size_t i;

    (void)state;
    flow__fake_init(&fake, 1);
    l = listen_on(&fake.env, path, 0, 1);
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(name, sizeof(name), "unix://%s/%s", here, path);
    while (n < COUNT(f)) {
        f[n] = dial(&fake.env, path);
        if (flow_open(f[n++]) == FLOW_AGAIN)
            break;
    }
    assert_in_range(n, 2, COUNT(f) - 1);
    assert_int_equal(flow_wait(f[n - 1], FLOW_READY_OPEN, NULL), FLOW_OK);
    assert_int_equal(flow_open(f[n - 1]), FLOW_AGAIN);

    assert_int_equal(flow_accept(l, &accepted), FLOW_OK);
    flow_close(accepted);
    assert_int_equal(flow_open_wait(f[n - 1]), FLOW_OK);

    if (flow_endpoint_dial(&fake.env, name, &opt, &waiting, NULL) == FLOW_OK) {
        assert_int_equal(flow_open_wait(waiting), FLOW_E_TIMEOUT);
        flow_get_error(waiting, FLOW_READ, &err);
        assert_string_equal(
            err.text, "the listener's queue stayed full until the timeout");
    } else {
        /* The directory's path is too long for a socket's address. */
        assert_true(strlen(name) > 107);
    }
    flow_close(waiting);
    for (i = 0; i < n; i++)
        flow_close(f[i]);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

static void
unix_endpoints_dial_and_listen(void **state)
{
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_endpoint_dial(NULL, "unix:name", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_non_null(strstr(err.hint, "unix:///PATH"));
    assert_int_equal(flow_endpoint_listen(NULL, "unix://rel", NULL, &l, &err),
                     FLOW_E_INVAL);
    assert_null(f);
    assert_null(l);
    assert_int_equal(flow_endpoint_dial(NULL, "unix:///x", NULL, &f, &err),
                     FLOW_OK);
    flow_close(f);
#ifdef __linux__
    assert_int_equal(
        flow_endpoint_listen(NULL, "unix://@libflow-x", NULL, &l, &err),
        FLOW_OK);
    converse(l, "@libflow-x");
    flow_listener_close(l);
#endif
}

static void
every_allocation_may_fail(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct stat st;

    (void)state;
    flow__fake_init(&fake, 1);
    fake.fail_at = 1;
    assert_int_equal(flow_unix_dial(&fake.env, path, NULL, &f, NULL),
                     FLOW_E_NOMEM);
    fake.fail_at = 2;
    assert_int_equal(flow_unix_listen(&fake.env, path, NULL, &l, NULL),
                     FLOW_E_NOMEM);
    assert_int_equal(stat(path, &st), -1);
    assert_null(f);
    assert_null(l);
}

/* Memory runs out, and meanwhile another program takes the path. */
static void *
take_over_and_fail(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    (void)unlink(path);
    leave_stale();
    return NULL;
}

static void
failed_listener_leaves_the_file_of_another(void **state)
{
    struct flow_env env = *flow_env_default();
    struct flow_listener *l = NULL;
    struct stat st;

    (void)state;
    env.alloc = take_over_and_fail;
    assert_int_equal(flow_unix_listen(&env, path, NULL, &l, NULL),
                     FLOW_E_NOMEM);
    assert_int_equal(stat(path, &st), 0);
    assert_null(l);
}

#define DIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(bytes_pass_and_half_close_works),
        DIR_TEST(abstract_names_are_supported_on_linux),
        DIR_TEST(file_has_its_mode_and_goes_with_the_listener),
        DIR_TEST(stale_file_is_replaced),
        DIR_TEST(listener_in_use_is_not_replaced),
        DIR_TEST(other_files_are_not_replaced),
        DIR_TEST(close_leaves_the_file_of_another),
        DIR_TEST(child_leaves_the_file_to_its_parent),
        DIR_TEST(invalid_paths_are_refused),
        DIR_TEST(dialling_a_name_without_a_listener_fails),
        DIR_TEST(full_backlog_is_waited_for),
        DIR_TEST(unix_endpoints_dial_and_listen),
        DIR_TEST(every_allocation_may_fail),
        DIR_TEST(failed_listener_leaves_the_file_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
