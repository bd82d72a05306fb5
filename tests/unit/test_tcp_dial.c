/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "backends/tcp/dial.h"
#include "lib/plat/fake/fake.h"
#include "unit.h"

#define MSEC UINT64_C(1000000)

/* A resolver whose results, and the time of its answer, the test sets. */
struct flow_lookup {
    struct flow_event event;
    bool done;
    int32_t code;
    struct flow_addr addr[TCP_DIAL_ADDRESSES];
    size_t count;
    char host[64];
    unsigned started;
    unsigned cancelled;
    enum flow_status start_status;
};

static struct flow_lookup the_lookup;

static enum flow_status
lookup_start(void *ctx, const char *host, uint16_t port,
             struct flow_lookup **ret_lookup)
{
    (void)ctx;
    (void)port;
    the_lookup.started++;
    strncpy(the_lookup.host, host, sizeof(the_lookup.host) - 1);
    if (the_lookup.start_status == FLOW_OK)
        *ret_lookup = &the_lookup;
    return the_lookup.start_status;
}

static enum flow_status
lookup_result(struct flow_lookup *lookup, struct flow_addr *ret_addr,
              size_t cap, size_t *ret_count, int32_t *ret_code)
{
    if (!lookup->done)
        return FLOW_AGAIN;
    *ret_code = lookup->code;
    if (lookup->code != 0)
        return FLOW_E_SYS;
    assert_true(lookup->count <= cap);
    memcpy(ret_addr, lookup->addr, lookup->count * sizeof(*ret_addr));
    *ret_count = lookup->count;
    return FLOW_OK;
}

static void
lookup_wait(struct flow_lookup *lookup, struct flow_wait_set *set)
{
    flow_wait_add_event(set, &lookup->event,
                        flow_event_sequence(&lookup->event));
}

static void
lookup_cancel(struct flow_lookup *lookup)
{
    lookup->cancelled++;
}

static const char *
lookup_text(int32_t code)
{
    return code == 7 ? "no such host" : "it failed";
}

static const struct flow_resolver resolver = {
    .start = lookup_start,
    .result = lookup_result,
    .wait = lookup_wait,
    .cancel = lookup_cancel,
    .text = lookup_text,
};

static void
answer_lookup(void)
{
    the_lookup.done = true;
    flow_event_signal(&the_lookup.event);
}

static void
add_address(const char *text)
{
    assert_true(
        flow__tcp_literal(text, 0, &the_lookup.addr[the_lookup.count++]));
}

/* Sockets of a test. */

static int
listen_at(const char *address, uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    if (ret_port != NULL)
        *ret_port = ntohs(in.sin_port);
    return fd;
}

/* Addresses that do not answer: the backlogs of their listeners are full. */
struct hole {
    int listening;
    int fd[8];
    size_t count;
};

static void
hole_open(struct hole *h, const char *address, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    size_t i;

    h->listening = listen_at(address, port, NULL);
    h->count = COUNT(h->fd);
    assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
    for (i = 0; i < h->count; i++) {
        h->fd[i] =
            socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(h->fd[i] >= 0);
        (void)!connect(h->fd[i], (struct sockaddr *)&in, sizeof(in));
    }
}

static void
hole_close(struct hole *h)
{
    size_t i;

    for (i = 0; i < h->count; i++)
        close(h->fd[i]);
    close(h->listening);
}

static size_t
open_descriptors(void)
{
    size_t n = 0;
    int fd;

    for (fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0 ? 1u : 0u;
    return n;
}

/* A dial on the fake environment. */
struct fixture {
    struct flow__fake fake;
    struct tcp_dial *dial;
    struct flow_error err;
    struct flow_addr peer;
    int fd;
    size_t descriptors;
};

static void
begin_from(struct fixture *x, const char *host, uint16_t port, uint64_t timeout,
           const struct flow_addr *source)
{
    flow__fake_init(&x->fake, 1);
    x->fake.env.resolver = &resolver;
    x->fd = -1;
    x->descriptors = open_descriptors();
    x->dial =
        flow__tcp_dial_new(&x->fake.env, NULL, host, port, timeout, source);
    assert_non_null(x->dial);
}

static void
begin(struct fixture *x, const char *host, uint16_t port, uint64_t timeout)
{
    const struct flow_addr anything = { .family = 0 };

    begin_from(x, host, port, timeout, &anything);
}

static void
end(struct fixture *x)
{
    flow__tcp_dial_free(x->dial);
    if (x->fd >= 0)
        close(x->fd);
    assert_int_equal(x->fake.live_blocks, 0);
    assert_int_equal(open_descriptors(), x->descriptors);
    assert_int_equal(the_lookup.cancelled, the_lookup.started);
}

static int
reset_lookup(void **state)
{
    (void)state;
    memset(&the_lookup, 0, sizeof(the_lookup));
    flow_event_init(&the_lookup.event);
    return 0;
}

static enum flow_status
step(struct fixture *x)
{
    return flow__tcp_dial_step(x->dial, &x->fd, &x->peer, &x->err);
}

/* Steps and waits, on the fake clock, until the dial ends. */
static enum flow_status
run(struct fixture *x)
{
    struct flow_wait_set set;
    enum flow_status st;
    int turns = 0;

    while ((st = step(x)) == FLOW_AGAIN) {
        assert_true(++turns < 1000);
        flow_wait_set_init(&set);
        if (flow__tcp_dial_wait(x->dial, &set)) {
            assert_int_equal(set.count, 0);
            continue;
        }
        assert_true(set.count > 0 || set.deadline != FLOW_NEVER);
        assert_int_equal(x->fake.env.wait(x->fake.env.ctx, &set, FLOW_NEVER),
                         FLOW_OK);
    }
    return st;
}

static void
literal_addresses_are_not_looked_up(void **state)
{
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);

    (void)state;
    begin(&x, "127.0.0.1", port, 0);
    x.fake.env.resolver = NULL;
    assert_int_equal(run(&x), FLOW_OK);
    assert_true(x.fd >= 0);
    assert_int_equal(x.peer.port, port);
    end(&x);
    close(listening);
    assert_int_equal(the_lookup.started, 0);
}

static void
names_need_a_resolver(void **state)
{
    struct fixture x;

    (void)state;
    begin(&x, "some.example", 80, 0);
    x.fake.env.resolver = NULL;
    assert_int_equal(run(&x), FLOW_E_NOTSUP);
    assert_string_equal(x.err.detail, "some.example:80");
    assert_string_equal(x.err.hint, "give an address");
    end(&x);
}

static void
error_of_a_refused_connection_names_the_address(void **state)
{
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    char where[40];

    (void)state;
    close(listening);
    begin(&x, "127.0.0.1", port, 0);
    assert_int_equal(run(&x), FLOW_E_SYS);
    assert_int_equal(x.err.domain, FLOW_DOMAIN_ERRNO);
    assert_int_equal(x.err.code, ECONNREFUSED);
    assert_string_equal(x.err.layers[0], "tcp");
    snprintf(where, sizeof(where), "127.0.0.1:%u", (unsigned)port);
    assert_string_equal(x.err.detail, where);
    end(&x);
}

static void
dial_waits_for_the_lookup(void **state)
{
    struct flow_wait_set set;
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);

    (void)state;
    begin(&x, "some.example", port, 0);
    flow_wait_set_init(&set);
    assert_true(flow__tcp_dial_wait(x.dial, &set));
    assert_int_equal(step(&x), FLOW_AGAIN);
    assert_string_equal(the_lookup.host, "some.example");
    assert_false(flow__tcp_dial_wait(x.dial, &set));
    assert_int_equal(set.count, 1);
    assert_ptr_equal(set.source[0].event, &the_lookup.event);
    add_address("127.0.0.1");
    answer_lookup();
    flow_wait_set_init(&set);
    assert_true(flow__tcp_dial_wait(x.dial, &set));
    assert_int_equal(set.count, 0);
    assert_int_equal(run(&x), FLOW_OK);
    end(&x);
    close(listening);
}

static void
refusing_addresses_are_skipped_at_once(void **state)
{
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    uint64_t before;

    (void)state;
    begin(&x, "many.example", port, 0);
    add_address("127.0.0.2");
    add_address("127.0.0.3");
    add_address("::1");
    add_address("127.0.0.4");
    add_address("127.0.0.1");
    answer_lookup();
    before = x.fake.now;
    assert_int_equal(run(&x), FLOW_OK);
    assert_memory_equal(x.peer.bytes, "\x7f\x00\x00\x01", 4);
    /* No pause after an address that refuses. */
    assert_true(x.fake.now - before < 250 * MSEC);
    end(&x);
    close(listening);
}

static void
error_of_a_dial_is_that_of_the_last_address(void **state)
{
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    char where[60];

    (void)state;
    close(listening);
    begin(&x, "many.example", port, 0);
    add_address("127.0.0.2");
    add_address("127.0.0.3");
    add_address("127.0.0.4");
    answer_lookup();
    assert_int_equal(run(&x), FLOW_E_SYS);
    assert_int_equal(x.err.code, ECONNREFUSED);
    snprintf(where, sizeof(where), "many.example (127.0.0.4:%u)",
             (unsigned)port);
    assert_string_equal(x.err.detail, where);
    end(&x);
}

static void
silent_address_delays_the_next_by_a_head_start(void **state)
{
    struct fixture x;
    struct hole hole;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    uint64_t before;

    (void)state;
    hole_open(&hole, "127.0.0.2", port);
    begin(&x, "half.example", port, 0);
    add_address("127.0.0.2");
    add_address("127.0.0.1");
    answer_lookup();
    before = x.fake.now;
    assert_int_equal(run(&x), FLOW_OK);
    assert_int_equal(x.fake.now - before, TCP_DIAL_STAGGER);
    assert_memory_equal(x.peer.bytes, "\x7f\x00\x00\x01", 4);
    end(&x);
    hole_close(&hole);
    close(listening);
}

static void
silent_addresses_beyond_the_limit_replace_the_oldest(void **state)
{
    static const char *const silent[] = { "127.0.0.2", "127.0.0.3", "127.0.0.4",
                                          "127.0.0.5", "127.0.0.6" };
    struct hole hole[COUNT(silent)];
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    uint64_t before;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(silent); i++)
        hole_open(&hole[i], silent[i], port);
    begin(&x, "holes.example", port, 0);
    for (i = 0; i < COUNT(silent); i++)
        add_address(silent[i]);
    add_address("127.0.0.1");
    answer_lookup();
    before = x.fake.now;
    assert_int_equal(run(&x), FLOW_OK);
    assert_memory_equal(x.peer.bytes, "\x7f\x00\x00\x01", 4);
    /* The fourth takes the first one's place, and the sixth the third one's. */
    assert_int_equal(x.fake.now - before,
                     TCP_DIAL_PATIENCE + 2 * TCP_DIAL_STAGGER);
    end(&x);
    for (i = 0; i < COUNT(silent); i++)
        hole_close(&hole[i]);
    close(listening);
}

static void
timeout_covers_resolution(void **state)
{
    struct fixture x;

    (void)state;
    begin(&x, "slow.example", 80, 3000 * MSEC);
    assert_int_equal(run(&x), FLOW_E_TIMEOUT);
    assert_string_equal(x.err.text, "the name was not resolved in time");
    assert_string_equal(x.err.detail, "slow.example:80");
    end(&x);
}

static void
timeout_beyond_the_clock_is_never(void **state)
{
    struct fixture x;

    (void)state;
    begin(&x, "slow.example", 80, UINT64_MAX);
    assert_int_equal(step(&x), FLOW_AGAIN);
    assert_int_equal(step(&x), FLOW_AGAIN);
    end(&x);
}

static void
timeout_covers_all_addresses(void **state)
{
    struct fixture x;
    struct hole hole;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    uint64_t before;

    (void)state;
    close(listening);
    hole_open(&hole, "127.0.0.2", port);
    begin(&x, "127.0.0.2", port, 700 * MSEC);
    before = x.fake.now;
    assert_int_equal(run(&x), FLOW_E_TIMEOUT);
    assert_int_equal(x.fake.now - before, 700 * MSEC);
    assert_string_equal(x.err.text, "no address answered in time");
    end(&x);
    hole_close(&hole);
}

static void
failed_lookups_are_reported(void **state)
{
    struct fixture x;

    (void)state;
    begin(&x, "none.example", 80, 0);
    the_lookup.code = 7;
    answer_lookup();
    assert_int_equal(run(&x), FLOW_E_SYS);
    assert_int_equal(x.err.domain, FLOW_DOMAIN_RESOLVER);
    assert_int_equal(x.err.code, 7);
    assert_string_equal(x.err.text, "no such host");
    assert_string_equal(x.err.detail, "none.example:80");
    end(&x);

    /* An answer without addresses. */
    reset_lookup(NULL);
    begin(&x, "none.example", 80, 0);
    answer_lookup();
    assert_int_equal(run(&x), FLOW_E_SYS);
    end(&x);

    reset_lookup(NULL);
    begin(&x, "none.example", 80, 0);
    the_lookup.start_status = FLOW_E_NOMEM;
    assert_int_equal(run(&x), FLOW_E_NOMEM);
    the_lookup.cancelled++; /* There was no lookup to release. */
    end(&x);
}

static void
cancelled_dial_releases_everything(void **state)
{
    struct fixture x;
    struct hole hole;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);

    (void)state;
    close(listening);
    begin(&x, "slow.example", 80, 0);
    assert_int_equal(step(&x), FLOW_AGAIN);
    end(&x);

    hole_open(&hole, "127.0.0.2", port);
    begin(&x, "127.0.0.2", port, 0);
    assert_int_equal(step(&x), FLOW_AGAIN);
    end(&x);
    hole_close(&hole);

    begin(&x, "never.example", 80, 0);
    end(&x);
}

static struct flow_addr
source_at(const char *text)
{
    struct flow_addr source;

    assert_true(flow__tcp_literal(text, 0, &source));
    return source;
}

static void
source_address_skips_the_other_family(void **state)
{
    const struct flow_addr source = source_at("127.0.0.1");
    struct fixture x;
    uint16_t port;
    int s = listen_at("127.0.0.1", 0, &port);

    (void)state;
    (void)reset_lookup(NULL);
    add_address("::1");
    add_address("127.0.0.1");
    answer_lookup();
    begin_from(&x, "two.example", port, 0, &source);
    assert_int_equal(run(&x), FLOW_OK);
    assert_int_equal(x.peer.family, 4);
    end(&x);

    (void)reset_lookup(NULL);
    add_address("::1");
    answer_lookup();
    begin_from(&x, "six.example", port, 0, &source);
    assert_int_equal(run(&x), FLOW_E_SYS);
    assert_int_equal(x.err.code, EAFNOSUPPORT);
    assert_string_equal(x.err.text,
                        "the host has no address of the source's family");
    end(&x);
    close(s);
}

static void
long_names_leave_room_for_the_address(void **state)
{
    struct fixture x;
    uint16_t port;
    int listening = listen_at("127.0.0.1", 0, &port);
    char host[200];
    char where[40];

    (void)state;
    close(listening);
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    begin(&x, host, port, 0);
    add_address("127.0.0.9");
    answer_lookup();
    assert_int_equal(run(&x), FLOW_E_SYS);
    snprintf(where, sizeof(where), "h (127.0.0.9:%u)", (unsigned)port);
    assert_non_null(strstr(x.err.detail, where));
    end(&x);
}

#define DIAL_TEST(fn) cmocka_unit_test_setup(fn, reset_lookup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DIAL_TEST(literal_addresses_are_not_looked_up),
        DIAL_TEST(names_need_a_resolver),
        DIAL_TEST(error_of_a_refused_connection_names_the_address),
        DIAL_TEST(dial_waits_for_the_lookup),
        DIAL_TEST(refusing_addresses_are_skipped_at_once),
        DIAL_TEST(error_of_a_dial_is_that_of_the_last_address),
        DIAL_TEST(silent_address_delays_the_next_by_a_head_start),
        DIAL_TEST(silent_addresses_beyond_the_limit_replace_the_oldest),
        DIAL_TEST(timeout_covers_resolution),
        DIAL_TEST(timeout_beyond_the_clock_is_never),
        DIAL_TEST(timeout_covers_all_addresses),
        DIAL_TEST(failed_lookups_are_reported),
        DIAL_TEST(cancelled_dial_releases_everything),
        DIAL_TEST(source_address_skips_the_other_family),
        DIAL_TEST(long_names_leave_room_for_the_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
