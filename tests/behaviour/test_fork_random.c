/* SPDX-License-Identifier: ISC */
#include <string.h>
#include <unistd.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "child.h"
#include "step.h"

/*
 * No process sends the random numbers of another one: a forked child has the
 * parent's generator, and must not go on with its state.
 */

/* The random values in a client's first message and a server's answer: the one
 * called random, and the public key share. */
#define RANDOM_LEN 32
struct hellos {
    uint8_t random[2][RANDOM_LEN];
    uint8_t share[2][RANDOM_LEN];
};

static size_t
number_at(const uint8_t *at, size_t len)
{
    return len == 1 ? at[0] : (size_t)at[0] << 8 | at[1];
}

/* RFC 8446 4.1.2, 4.1.3: the fields before the extensions. */
static size_t
extensions_of(const uint8_t *message, bool client)
{
    size_t at = 11 + RANDOM_LEN;

    at += 1 + number_at(message + at, 1);
    if (!client)
        return at + 3 + 2;
    at += 2 + number_at(message + at, 2);
    at += 1 + number_at(message + at, 1);
    return at + 2;
}

static bool
take_hello(const uint8_t *message, size_t len, bool client,
           struct hellos *ret_hellos)
{
    size_t side = client ? 0 : 1;
    size_t end = 5 + number_at(message + 3, 2);
    size_t at = extensions_of(message, client);
    size_t n;

    if (len < end)
        return false;
    memcpy(ret_hellos->random[side], message + 11, RANDOM_LEN);
    for (; at + 4 <= end; at += 4 + n) {
        n = number_at(message + at + 2, 2);
        if (number_at(message + at, 2) != 51 || n < RANDOM_LEN)
            continue;
        memcpy(ret_hellos->share[side], message + at + 4 + n - RANDOM_LEN,
               RANDOM_LEN);
        return true;
    }
    return false;
}

static bool
make_hellos(struct hellos *ret_hellos)
{
    struct ends e = { 0 };
    struct ends through = { 0 };
    uint8_t message[8192] = { 0 };
    size_t len;
    bool ok;

    if (flow_pair_new(NULL, 1 << 16, NULL, &e.a, &through.a) != FLOW_OK ||
        flow_pair_new(NULL, 1 << 16, NULL, &e.b, &through.b) != FLOW_OK)
        return false;
    layer_tls13(&e);
    ok = flow_open(e.a) == FLOW_AGAIN &&
         flow_read(through.a, message, sizeof(message), &len) == FLOW_OK &&
         take_hello(message, len, true, ret_hellos) &&
         flow_write(through.b, message, len, &len) == FLOW_OK &&
         flow_open(e.b) == FLOW_AGAIN &&
         flow_read(through.b, message, sizeof(message), &len) == FLOW_OK &&
         take_hello(message, len, false, ret_hellos);
    ends_close(&e);
    ends_close(&through);
    return ok;
}

static void
assert_all_different(const struct hellos *one, const struct hellos *other)
{
    size_t side;

    for (side = 0; side < 2; side++) {
        assert_memory_not_equal(one->random[side], other->random[side],
                                RANDOM_LEN);
        assert_memory_not_equal(one->share[side], other->share[side],
                                RANDOM_LEN);
    }
}

#define CHILDREN 3

static void
processes_have_different_random_numbers(void **state)
{
    struct hellos made[CHILDREN + 1];
    pid_t child;
    size_t i;
    size_t k;
    int fd[2];

    (void)state;
    /* Initialise the engine before the children are forked. */
    assert_true(make_hellos(&made[0]));
    assert_int_equal(pipe(fd), 0);
    for (i = 0; i < CHILDREN; i++) {
        child = child_begin();
        if (child == 0) {
            CHILD_CHECK(make_hellos(&made[0]));
            CHILD_CHECK(write(fd[1], &made[0], sizeof(made[0])) ==
                        (ssize_t)sizeof(made[0]));
            child_end();
        }
        child_join(child);
        assert_int_equal(read(fd[0], &made[i + 1], sizeof(made[0])),
                         sizeof(made[0]));
    }
    assert_true(make_hellos(&made[0]));
    for (i = 0; i <= CHILDREN; i++)
        for (k = 0; k < i; k++)
            assert_all_different(&made[i], &made[k]);
    close(fd[0]);
    close(fd[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processes_have_different_random_numbers),
    };

    return TEST_RUN(tests);
}
