/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_STUB_XEN_H
#define TESTS_VCHAN_STUB_XEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Xen's libraries in memory, for hyp_linux.c: two domains and a store in one
 * process.  Each handle has as many descriptors as the real one.  What a
 * library call is made for is the domain entered last.
 */

/* From here on calls are made by this domain. */
void stub_enter(uint16_t domid);

/* The hypervisor and the store learn of a domain. */
void stub_introduce(uint16_t domid);

/* A domain was migrated, and has another number from here on. */
void stub_migrate(uint16_t from, uint16_t to);

/* Forgets everything but handles. */
void stub_reset(void);

/* May hypercalls be made from now on? */
void stub_allow_calls(bool allow);

/* What the next map of a grant fails with; 0: nothing. */
void stub_fail_map(int code);

/* What opening an event channel device fails with from now on; 0: nothing. */
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
