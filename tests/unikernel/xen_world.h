/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIKERNEL_XEN_WORLD_H
#define TESTS_UNIKERNEL_XEN_WORLD_H

#include <flow/env.h>
#include <flow/guest.h>

struct vchan_hyp;

/*
 * A hypervisor and a store for guests without an operating system, in one
 * process: memory that domains map from each other, event channels, grants and
 * xenstored, reached by hypercalls and shared pages.
 *
 * An event calls the upcall of the guest that gets it, as an interrupt would.
 */
struct xen_world;
struct xen_domain;

/* The world ends with its last domain; it is freed by a later call. */
struct xen_world *xen_world_new(const struct flow_env *env);

/* A domain that has been built and has not started. */
struct xen_domain *xen_world_domain(struct xen_world *w, uint16_t domid);

/* What its boot code gives to the library. */
struct flow_guest *xen_domain_guest(struct xen_domain *d);

/* The handle of the domain; its reference is the caller's.  Events reach it. */
struct vchan_hyp *xen_domain_start(struct xen_domain *d);
/* Without a handle: what an event of the domain calls, or NULL. */
void xen_domain_on_event(struct xen_domain *d, void (*upcall)(void));

/* The domain is destroyed: its channels are closed and its pages unmapped, and
 * none of its code runs any more. */
void xen_domain_destroy(struct xen_domain *d);

/* How many pages of others it has mapped, and how many grants of its own are
 * enabled. */
unsigned xen_domain_mapped(const struct xen_domain *d);
unsigned xen_domain_granted(const struct xen_domain *d);

/* Pages of its own that it shares. */
unsigned xen_domain_pages(const struct xen_domain *d);

/* The next transactions that are committed meet another one. */
void xen_world_conflicts(struct xen_world *w, unsigned count);
/* Nodes that a domain may own. */
void xen_world_quota(struct xen_world *w, unsigned count);
/* Writes a node as domain 0, readable by all; or removes it (NULL). */
void xen_world_write(struct xen_world *w, const char *path, const char *value);
/* A node that was written so belongs to a domain from now on. */
void xen_world_give(struct xen_world *w, const char *path, uint16_t domid);
unsigned xen_world_nodes(const struct xen_world *w, const char *below);

#endif
