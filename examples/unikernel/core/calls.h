/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_CALLS_H
#define UNIKERNEL_CORE_CALLS_H

#include <stdint.h>

/*
 * The system calls that Linux does not have; the others are those of Linux,
 * with its numbers.  They return 0 or a count, or an errno below 0.
 */

/* (uint8_t address[6]): the Ethernet address of the card.  ENODEV: there is
 * none. */
#define CALL_NET_STATION 4096
/* (const void *frame, size_t len): sends a frame of at most 1,514 bytes.
 * EAGAIN: the card takes none now. */
#define CALL_NET_SEND 4097
/* (void *frame, size_t cap): receives a frame.  Its bytes, or EAGAIN: there is
 * none. */
#define CALL_NET_RECEIVE 4098
/* (uint64_t deadline): after CALL_NET_RECEIVE and read(2) have said EAGAIN,
 * sleeps until a frame or a byte comes, or the monotonic clock shows deadline,
 * in ns (0: none), or for a shorter time. */
#define CALL_WAIT 4099

/* The pages that a domain of Xen has for other domains.  The app may read and
 * write them. */
struct calls_guest {
    uint64_t shared_info;
    uint64_t grant_table; /* version 1, grant_frames pages */
    uint64_t store;
    uint32_t grant_frames;
    uint32_t store_port;
};

/* (struct calls_guest *ret): ENODEV: this is not a domain of Xen. */
#define CALL_GUEST_START 4100
/* (uint64_t number, uint64_t operation, void *argument): a hypercall, of which
 * these are there: EVTCHNOP_close, EVTCHNOP_send, EVTCHNOP_status and
 * EVTCHNOP_alloc_unbound; and SCHEDOP_poll, with a timeout of the monotonic
 * clock, which also ends when CALL_WAIT would.  Xen's result; ENOSYS: there is
 * no such hypercall. */
#define CALL_GUEST_HYPERCALL 4101

#endif
