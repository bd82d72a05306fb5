/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_PLAT_XEN_XEN_H
#define UNIKERNEL_PLAT_XEN_XEN_H

#include "../plat.h"

/*
 * A PVH domain of Xen:
 *
 *   hypercall_page.S  the way into the hypervisor
 *   domain.c          whether this is one, its hypercalls, and its end
 *   shared_info.c     the page with the time and the events
 *   ring.c            the console
 *   guest.c           what the app needs to reach other domains
 *   xen.c             the table of "plat.h"
 */

/* xen/xen.h */
#define XEN_MEMORY_OP  12
#define XEN_SCHED_OP   29
#define XEN_EVENT_OP   32
#define XEN_HVM_OP     34
#define XEN_DOMID_SELF 0x7ff0

int64_t hypercall_make(uint64_t number, uint64_t a, uint64_t b, uint64_t c);

/* Whether Xen runs this machine. */
bool domain_is_xen(void);
/* Fills the page of hypercalls. */
void domain_start(void);
/* A parameter of the domain (xen/hvm/params.h). */
uint64_t domain_parameter(uint32_t index);
/* Puts a page of Xen's in the place of one of ours; space, index: those of
 * XENMEM_add_to_physmap.  False: Xen refuses. */
bool domain_place(uint32_t space, uint64_t index, uintptr_t page);
void domain_exit(int code) __attribute__((noreturn));

void shared_info_start(void);
uint64_t shared_info_now(void);
int64_t shared_info_wall(void);
/* Sends an event to the other end of a port. */
void shared_info_send(uint32_t port);
/* Sleeps until one of the ports has an event, or until a time of
 * shared_info_now() (0: none), or less. */
void shared_info_poll(uint32_t *ports, uint32_t count, uint64_t deadline);
/* Forgets that the port has an event. */
void shared_info_clear(uint32_t port);
uintptr_t shared_info_page(void);

/* Before ring_start() bytes go to Xen's own console, if it shows them. */
void ring_start(void);
void ring_put(const char *text, size_t len);
bool ring_get(char *ret_byte);
uint32_t ring_port(void);

extern const struct plat_guest guest;

#endif
