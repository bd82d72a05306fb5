/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_STUB_XEN_H
#define TESTS_VCHAN_STUB_XEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Xen's libraries in memory, for hyp_linux.c: two domains and a store in one
 * process.  Each handle has as many descriptors as the real one.  Calls of the
 * libraries are made by the domain that was entered last.
 */

/* Enters a domain: the next calls are made by it. */
void stub_enter(uint16_t domid);

/* The hypervisor and the store learn of a domain. */
void stub_introduce(uint16_t domid);

/* Migrates a domain: it has another number after this. */
void stub_migrate(uint16_t from, uint16_t to);

/* Forgets everything but handles. */
void stub_reset(void);

/* Allows or forbids hypercalls. */
void stub_allow_calls(bool allow);

/* The errno of the next mapping of a grant; 0: it succeeds. */
void stub_fail_map(int code);

/* The errno of opening an event channel device; 0: it succeeds. */
void stub_fail_channels(int code);

/* Writes a node for a domain, readable by another one. */
void stub_write(const char *path, const char *text, uint16_t owner,
                uint16_t reader);

/* The value of a node, or NULL. */
const char *stub_value(const char *path);

/* How many nodes there are below a path. */
unsigned stub_nodes(const char *path);

/* Watch events that were sent and not drained, of all handles. */
unsigned stub_queued(void);

/* Handles of the device for granting that were opened so far, and the
 * descriptor of the last one. */
unsigned stub_share_opens(void);
int stub_share_fd(void);

#endif
