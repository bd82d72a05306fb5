/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIKERNEL_XEN_STORE_H
#define TESTS_UNIKERNEL_XEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * xenstored for the world of xen_world.h: nodes with owners and permissions,
 * transactions, watches and quotas.  Not thread-safe: the world's lock guards
 * it.
 */
struct xen_store;
struct xen_store_client;

struct xen_store *xen_store_new(void);
void xen_store_free(struct xen_store *s);

/* The connection of a domain over its page (struct xenstore_domain_interface),
 * whose indexes need not start at 0. */
struct xen_store_client *xen_store_client_new(struct xen_store *s,
                                              uint16_t domid, void *page);
void xen_store_client_free(struct xen_store_client *c);

/* Takes the requests that are in the ring. */
void xen_store_serve(struct xen_store_client *c);
/* Writes what fits of answers and events; true if the domain must look. */
bool xen_store_flush(struct xen_store_client *c);

void xen_store_conflicts(struct xen_store *s, unsigned count);
void xen_store_quota(struct xen_store *s, unsigned count);
void xen_store_put(struct xen_store *s, const char *path, const char *value);
/* A node belongs to a domain from now on. */
void xen_store_give(struct xen_store *s, const char *path, uint16_t domid);
/* How many nodes there are below a path. */
unsigned xen_store_nodes(const struct xen_store *s, const char *below);

#endif
