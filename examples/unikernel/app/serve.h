/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_SERVE_H
#define UNIKERNEL_APP_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/listener.h>

/* Where the site is served, and what takes orders to end. */
struct serve_place {
    /* Opens the listeners, after TLS was set up.  False: it has printed why
     * not. */
    bool (*listen)(struct serve_place *place);
    void *ctx;                   /* of listen */
    struct flow_listener *lower; /* below TLS */
    struct flow_listener *plain; /* redirects; or NULL */
    uint16_t https_port;         /* in redirects */
    const char *name;            /* for "listening on" */
    bool tls13_alone;            /* not TLS 1.2 too */
    void (*take_orders)(void);   /* before each look at them; or NULL */
};

/* Serves what is linked in, until it is ordered to end.  Closes the listeners
 * in every case.  An exit code. */
int serve(struct serve_place *place);

#endif
