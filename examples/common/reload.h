/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_RELOAD_H
#define EXAMPLES_COMMON_RELOAD_H

#include <flow/tls_holder.h>

#include "certs.h"

/*
 * The TLS configuration of a server: made when it starts, and again on each
 * SIGHUP, in a thread of its own, while connections are served.
 */

struct reload;

/* What the program has to say about each configuration.  Both are called by
 * reload_new() and then by the thread. */
struct reload_program {
    /* Set what does not come from files.  An exit code; it has printed the
     * reason of a failure. */
    int (*complete)(void *user, struct flow_tls_config *config);
    /* The configuration is in force from now on; may be NULL. */
    void (*in_force)(void *user, struct flow_tls_config *config);
    void *user;
};

/*
 * Load the certificates and the authorities of clients, and make the first
 * configuration.  From now on SIGHUP
 * is blocked in this thread and those that it starts, unless it is ignored.  An
 * exit code; on CLI_OK *ret has to be given to reload_free().  places and
 * program stay where they are.
 */
int reload_new(const struct certs_places *places,
               const struct reload_program *program, struct reload **ret);
/* Start the thread; an exit code. */
int reload_start(struct reload *r);
/* End the thread and release everything; NULL does nothing. */
void reload_free(struct reload *r);

/* For the listeners; they take references of their own. */
struct flow_tls_holder *reload_holder(const struct reload *r);

#endif
