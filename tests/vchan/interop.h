/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_INTEROP_H
#define TESTS_VCHAN_INTEROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "backends/vchan/hyp.h"
#include "scratch.h"

/*
 * One end of a vchan, ours or that of the real libxenvchan, with the same few
 * functions for both.
 */
struct peer;

enum maker { OURS, REFERENCE };

/* A hypervisor in a directory of its own, with domains 1 and 2. */
struct xen {
    char dir[SCRATCH_MAX];
    struct vchan_hyp *server;
    struct vchan_hyp *client;
};

void xen_start(struct xen *xen);
void xen_stop(struct xen *xen);

/* A server that no client has attached to, and its control page's reference. */
struct peer *peer_serve(struct xen *xen, enum maker maker, size_t read_size,
                        size_t write_size, uint32_t *ret_ref);

/* A server and its client, attached.  Sizes as the server's requests. */
void peers_connect(struct xen *xen, enum maker server, enum maker client,
                   size_t read_size, size_t write_size, struct peer *ret[2]);

/* Makes a server of the reference wait for one client after the other. */
void peer_persist(struct peer *server);

/* Makes a client of ours of a server that exists; returns the status of its
 * opening. */
struct peer *peer_dial(struct xen *xen, bool reattach,
                       enum flow_status *ret_status);

/* Bytes moved, 0 when none could be, -1 at the end (reading: after the last
 * byte; writing: the other is gone). */
long peer_read(struct peer *p, void *buf, size_t len);
long peer_write(struct peer *p, const void *buf, size_t len);

/* Sleeps until one of FLOW_READY_... may have become possible; the reference
 * cannot choose.  Call only after all of them answered 0. */
void peer_wait(struct peer *p, uint32_t interest);

/* Requests events, as peer_wait() does before it sleeps. */
void peer_arm(struct peer *p, bool writes);

void peer_close(struct peer *p);

/* The control page as this end has mapped it. */
uint8_t *peer_page(struct peer *p);

/* Moves both indexes of a ring: in the page by the caller, here the copies
 * that our end keeps.  Both ends of the left ring, which must be empty. */
void peers_set_left(struct peer *peer[2], uint32_t index);

/* Events sent so far by all ends of a maker. */
unsigned long peers_events(enum maker maker);

#endif
