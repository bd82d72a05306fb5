/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_STACKS_H
#define TEST_SUPPORT_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>
#include <flow/tls_config.h>

#include "tap.h"

/*
 * Every flow and stack of flows that the contract is checked on: transports,
 * each with a list of layers on top.  A new backend adds one row to the table
 * of transports.
 */

struct stack;

/* Two flows joined to each other. */
struct ends {
    struct flow *a; /* The dialling side, client of TLS. */
    struct flow *b; /* The accepting side. */
    const struct stack *stack;
};

/* How two ends come about, and what is particular about them. */
struct transport {
    const char *name;
    void (*make)(struct ends *e);
    /* Capabilities of the bare flow, exactly. */
    uint32_t caps;
    /* STATUS_BIT()s that a reader may see when the peer closed without
     * shutdown(WRITE), everything it sent having been read. */
    uint32_t abandoned;
    /* The same when the peer aborted its flow before it closed it. */
    uint32_t aborted;
    /* A close with unread input may destroy what was sent before it. */
    bool close_destroys;
};

/* Put something on both ends. */
typedef void layer_fn(struct ends *e);

#define STACK_LAYERS 4

/* A way to build on any transport. */
struct recipe {
    const char *name; /* "" is the bare transport. */
    layer_fn *layer[STACK_LAYERS];
    bool everywhere; /* Else only on the first transport. */
};

struct stack {
    char name[64];
    const struct transport *transport;
    const struct recipe *recipe;
    unsigned tls; /* Layers of TLS in it. */
};

/* All of them; the array lives for ever. */
const struct stack *stacks(size_t *ret_count);

const struct transport *transports(size_t *ret_count);

/* Make a stack's two ends, not opened.  Fails the test when it cannot. */
void ends_make(struct ends *e, const struct stack *s);
void ends_make_transport(struct ends *e, const struct transport *t);
/* Close what is left of them. */
void ends_close(struct ends *e);

/* Layers for stacks of a test's own. */
void layer_tls12(struct ends *e);
void layer_tls13(struct ends *e);
void layer_bytewise(struct ends *e);
void layer_again(struct ends *e);
void layer_seeded(struct ends *e);

/*
 * Configurations over the test keys, the same for every call, which the caller
 * does not release: version 0x0303, 0x0304, or 0 for both.  The server is
 * "server.example".
 */
struct flow_tls_config *stack_tls_client(uint32_t version);
struct flow_tls_config *stack_tls_server(uint32_t version);

/* Path of a file of the test keys; valid until the next but three call. */
const char *pki(const char *file);

#endif
