/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_STACKS_H
#define TEST_SUPPORT_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/contract.h>
#include <flow/flow.h>
#include <flow/tls_config.h>

#include "tap.h"

/*
 * Every stack of flows that the contract is checked on: backends, each with a
 * list of layers on top.
 */

struct stack;

/* Two connected flows. */
struct ends {
    struct flow *a; /* The dialling side; the client of TLS. */
    struct flow *b; /* The accepting side. */
    const struct stack *stack;
};

/* Adds a layer to both ends. */
typedef void layer_fn(struct ends *e);

#define STACK_LAYERS 4

/* A list of layers that works on any backend. */
struct recipe {
    const char *name; /* "" is the bare transport. */
    layer_fn *layer[STACK_LAYERS];
    bool everywhere; /* On every backend; otherwise only on the first. */
};

struct stack {
    char name[64];
    const struct flow_contract_backend *backend;
    const struct recipe *recipe;
    unsigned tls; /* Number of TLS layers. */
};

/* All stacks on these backends; the caller frees the array with free(). */
struct stack *stacks_on(const struct flow_contract_backend *backends,
                        size_t backend_count, size_t *ret_count);

/* Make a stack's two ends, not opened.  The test fails if that is not
 * possible. */
void ends_make(struct ends *e, const struct stack *s);
void ends_make_bare(struct ends *e,
                    const struct flow_contract_backend *backend);
/* Close the ends that are not NULL. */
void ends_close(struct ends *e);

/* Layers for a test's own stacks. */
void layer_tls12(struct ends *e);
void layer_tls13(struct ends *e);
void layer_bytewise(struct ends *e);
void layer_again(struct ends *e);
void layer_seeded(struct ends *e);

/*
 * Configurations with the test keys, shared by all callers, who do not release
 * them: version 0x0303, 0x0304, or 0 for both.  The server is "server.example".
 */
struct flow_tls_config *stack_tls_client(uint32_t version);
struct flow_tls_config *stack_tls_server(uint32_t version);

#endif
