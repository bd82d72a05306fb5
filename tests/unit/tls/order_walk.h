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

/* A difference that is meant. */
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
    bool
        lets_wait; /* the model has no turns: the peer speaks in ours as well */
    bool is_silent; /* the first difference ends the walk, unprinted */
    /* What was found: */
    unsigned states;      /* of the table, flow__order::ticket included */
    unsigned pairs;       /* of states */
    unsigned compared;    /* messages */
    unsigned legal;       /* of these */
    unsigned waiting;     /* of these: not read in our turn, legal after it */
    unsigned differences; /* that were not meant */
    unsigned meant_seen;  /* of meant, how many were found */
};

void order_walk(struct order_walk *walk, bool server);

const char *order_kind_name(enum flow__kind kind);

/* What the table says, in the words of a model. */
struct order_verdict order_of_table(const struct flow__order *at, bool ours,
                                    enum flow__kind kind,
                                    struct flow__order *ret_next);

#endif
