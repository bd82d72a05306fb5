/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/order_walk.h"

/* The tables against the model of order_model.c, of both roles; the versions
 * come with the ServerHello. */

#define PEER false

/* RFC 8446 5 requires the client to drop it; see tls/order.c. */
static const struct order_difference meant_client[] = {
    { FLOW__STATE_C_SH, PEER, FLOW__KIND_CHANGE_CIPHER_SPEC,
      "before the ServerHello TLS 1.2 may be chosen" },
};

/* The message waits for the end of the server's turn, which may have selected
 * TLS 1.2. */
static const struct order_difference meant_server[] = {
    { FLOW__STATE_S_SEND_SH, PEER, FLOW__KIND_CHANGE_CIPHER_SPEC,
      "before the ServerHello TLS 1.2 may be chosen" },
};

static void
walk_role(bool server, const struct order_difference *meant, size_t count)
{
    struct order_walk walk = {
        .model = &order_model,
        .meant = meant,
        .meant_count = count,
        .lets_wait = true,
    };

    order_walk(&walk, server);
    print_message("%s: %u states of the table, %u pairs with the model, "
                  "%d kinds of messages: %u compared, %u legal, "
                  "%u wait for the end of our turn\n",
                  server ? "server" : "client", walk.states, walk.pairs,
                  FLOW__KIND_COUNT, walk.compared, walk.legal, walk.waiting);
    assert_int_equal(walk.differences, 0);
    assert_int_equal(walk.meant_seen, count);
    assert_true(walk.states > 30);
}

static void
the_client_agrees_with_the_model(void **state)
{
    (void)state;
    walk_role(false, meant_client,
              sizeof(meant_client) / sizeof(meant_client[0]));
}

static void
the_server_agrees_with_the_model(void **state)
{
    (void)state;
    walk_role(true, meant_server,
              sizeof(meant_server) / sizeof(meant_server[0]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_agrees_with_the_model),
        cmocka_unit_test(the_server_agrees_with_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
