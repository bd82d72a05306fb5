/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_MACHINE_H
#define UNIKERNEL_APP_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/entropy.h>
#include <flow/poller.h>

/* The library's port on the core: time, memory, entropy, sleep, and what comes
 * while it sleeps.  Call first.  The seed, a word of the command line or NULL,
 * is mixed into the random bytes. */
void machine_start(const char *seed);

/* The host of a domain of Xen is a source of entropy too.  Such a domain is
 * never resumed from a copy: its grants and event channels would be lost. */
void machine_add_entropy(const struct flow_entropy_source *host);

/* What comes from elsewhere than the console.  Either may be NULL. */
struct machine_input {
    /* Takes all that is there; before and after each sleep. */
    void (*take)(void);
    /* Sleeps until there is something, or a key, or a time of the monotonic
     * clock in ns (0: none); or less.  NULL: CALL_WAIT. */
    void (*sleep)(uint64_t deadline);
};

void machine_set_input(const struct machine_input *input);

/* Ends the flow_poller_wait() of this poller, or of none for NULL. */
void machine_set_poller(struct flow_poller *poller);
void machine_wake(void);

/* Orders to end: Ctrl-C on the console, and those of machine_order(), which
 * also wakes. */
int machine_orders(void);
void machine_order(void);

#endif
