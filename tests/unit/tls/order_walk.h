/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_ORDER_WALK_H
#define FLOW_TESTS_UNIT_TLS_ORDER_WALK_H

#include "tests/unit/tls/order_model.h"
#include "tls/order.h"

/*
 * Compares tls/order.c with a model: from the start, every pair of a state of
 * the table and a state of the model that some sequence of messages reaches,
 * and in each pair every kind of message in both directions.
 */

/* An intended difference. */
struct order_difference {
    enum flow__order_state state;
    bool ours;
    enum flow__kind kind;
    const char *reason;
};

struct order_walk {
    const struct order_model *model;
    const struct order_difference *meant;
    size_t meant_count;
    bool lets_wait; /* the peer may send in our turn as well */
    bool is_silent; /* stop at the first difference and print nothing */
    /* The results: */
    unsigned states;      /* of the table, flow__order::ticket included */
    unsigned pairs;       /* of states */
    unsigned compared;    /* messages */
    unsigned legal;       /* of these */
    unsigned waiting;     /* of these: not read in our turn, legal after it */
    unsigned differences; /* differences that were not intended */
    unsigned meant_seen;  /* intended differences that were found */
};

void order_walk(struct order_walk *walk, bool server);

/* The answer of the table, in the form of a model's answer. */
struct order_verdict order_of_table(const struct flow__order *at, bool ours,
                                    enum flow__kind kind,
                                    struct flow__order *ret_next);

#endif
