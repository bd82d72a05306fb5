/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_UNIKERNEL_PORT_H
#define FLOW_VCHAN_HYP_UNIKERNEL_PORT_H

#include "backends/vchan/hyp.h"

struct unikernel_hyp;

/* Ports of the 2-level ABI on 64-bit machines. */
#define UNIKERNEL_PORTS 4096u

/* An event channel's port of ours: its events signal a flow_event. */
struct unikernel_port {
    struct flow_event event;
    _Atomic uint32_t seen; /* signals that the last drain saw */
    uint32_t number;
};

/* Enters a port in the table of the domain; an event that is pending already
 * is signalled.  False if the number is not one of a port. */
bool flow__unikernel_port_open(struct unikernel_hyp *h,
                               struct unikernel_port *port, uint32_t number);
/* Takes it out and ends its event; the channel itself stays open. */
void flow__unikernel_port_close(struct unikernel_hyp *h,
                                struct unikernel_port *port);

/* Sends an event to the other end.  Takes no lock. */
void flow__unikernel_port_send(const struct unikernel_hyp *h, uint32_t number);

/* The functions of struct vchan_event_ops. */
bool flow__unikernel_port_drain(struct unikernel_hyp *h,
                                struct unikernel_port *port);
void flow__unikernel_port_wait(const struct unikernel_port *port,
                               struct flow_wait_set *set);

/* Signals every port that has a pending event; any thread, and interrupts. */
void flow__unikernel_port_upcall(struct unikernel_hyp *h);

/* Sleeps until one of our ports has an event, or until the deadline, or for a
 * shorter time. */
void flow__unikernel_port_idle(struct unikernel_hyp *h, uint64_t deadline);
/* The same for one port. */
void flow__unikernel_port_poll(const struct unikernel_hyp *h,
                               const struct unikernel_port *port,
                               uint64_t deadline);

#endif
