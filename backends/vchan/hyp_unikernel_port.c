/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/xen.h>

#include "backends/vchan/atomic.h"

/*
 * Ports and their pending bits.
 *
 * A pending bit is cleared first and its event signalled afterwards, so that an
 * event in between is not lost: it sets the bit again.  A port is entered in
 * the table before its bit is looked at for the first time.
 *
 * Invariants: ports[n] is NULL or an open port with number n; ports_end is
 * above every open one.  Both are written under the lock of the handle, and
 * each with one store, since on a machine of one thread, where the lock is
 * empty, an interrupt may call the upcall between any two instructions.
 *
 * Locks: that of the handle, and under it the wait lock.  No hypercall is made
 * under it.
 */

/* SCHEDOP_poll takes no more. */
#define PORT_POLL_MAX 128u
/* Longest sleep while some ports are not polled, in ns. */
#define PORT_POLL_NAP UINT64_C(10000000)

#define PORT_WORD_BITS (8 * sizeof(xen_ulong_t))

static struct shared_info *
port_info_of(const struct unikernel_hyp *h)
{
    return h->guest->shared_info;
}

/* The lock of the handle is held. */
static void
port_look(struct unikernel_hyp *h, struct unikernel_port *port)
{
    xen_ulong_t *word =
        &port_info_of(h)->evtchn_pending[port->number / PORT_WORD_BITS];
    xen_ulong_t bit = (xen_ulong_t)1 << (port->number % PORT_WORD_BITS);

    if ((flow__page_load(word) & bit) == 0)
        return;
    flow__page_and(word, ~bit);
    flow_event_signal(&port->event);
}

bool
flow__unikernel_port_open(struct unikernel_hyp *h, struct unikernel_port *port,
                          uint32_t number)
{
    struct evtchn_unmask unmask = { .port = number };

    if (number == 0 || number >= UNIKERNEL_PORTS)
        return false;
    flow_event_init(&port->event);
    port->seen = 0;
    port->number = number;
    flow_fork_block();
    flow_lock_acquire(&h->lock);
    flow__page_store(&h->ports[number], port);
    if (number >= h->ports_end)
        flow__page_store(&h->ports_end, number + 1);
    port_look(h, port);
    flow_lock_release(&h->lock);
    flow_fork_unblock();
    if (h->guest->interrupts)
        flow__unikernel_call(h, __HYPERVISOR_event_channel_op, EVTCHNOP_unmask,
                             &unmask);
    return true;
}

void
flow__unikernel_port_close(struct unikernel_hyp *h, struct unikernel_port *port)
{
    flow_fork_block();
    flow_lock_acquire(&h->lock);
    flow__page_store(&h->ports[port->number], NULL);
    flow_lock_release(&h->lock);
    flow_fork_unblock();
    flow_event_fini(&port->event);
}

void
flow__unikernel_port_send(const struct unikernel_hyp *h, uint32_t number)
{
    struct evtchn_send send = { .port = number };

    flow__unikernel_call(h, __HYPERVISOR_event_channel_op, EVTCHNOP_send,
                         &send);
}

bool
flow__unikernel_port_drain(struct unikernel_hyp *h, struct unikernel_port *port)
{
    uint32_t sequence;

    flow_fork_block();
    flow_lock_acquire(&h->lock);
    port_look(h, port);
    flow_lock_release(&h->lock);
    flow_fork_unblock();
    sequence = flow_event_sequence(&port->event);
    return atomic_exchange(&port->seen, sequence) != sequence;
}

void
flow__unikernel_port_wait(const struct unikernel_port *port,
                          struct flow_wait_set *set)
{
    /* A wait set has events that change when they are waited for. */
    struct unikernel_port *mine = (struct unikernel_port *)(uintptr_t)port;

    flow_wait_add_event(set, &mine->event, atomic_load(&port->seen));
}

void
flow__unikernel_port_upcall(struct unikernel_hyp *h)
{
    struct vcpu_info *vcpu = &port_info_of(h)->vcpu_info[0];
    uint32_t end, i;

    if (h->guest->interrupts) {
        /* In this order: an event after it causes another interrupt. */
        flow__page_store(&vcpu->evtchn_upcall_pending, 0);
        flow__page_store(&vcpu->evtchn_pending_sel, 0);
        atomic_thread_fence(memory_order_seq_cst);
    }
    flow_fork_block();
    flow_lock_acquire(&h->lock);
    end = flow__page_load(&h->ports_end);
    for (i = 0; i < end; i++) {
        struct unikernel_port *port = flow__page_load(&h->ports[i]);

        if (port != NULL)
            port_look(h, port);
    }
    flow_lock_release(&h->lock);
    flow_fork_unblock();
}

static void
port_poll_list(const struct unikernel_hyp *h, evtchn_port_t *ports,
               unsigned count, uint64_t deadline)
{
    struct sched_poll poll = { .nr_ports = count, .timeout = deadline };

    set_xen_guest_handle(poll.ports, ports);
    flow__unikernel_call(h, __HYPERVISOR_sched_op, SCHEDOP_poll, &poll);
}

void
flow__unikernel_port_poll(const struct unikernel_hyp *h,
                          const struct unikernel_port *port, uint64_t deadline)
{
    evtchn_port_t number = port->number;

    port_poll_list(h, &number, 1, deadline);
}

void
flow__unikernel_port_idle(struct unikernel_hyp *h, uint64_t deadline)
{
    evtchn_port_t ports[PORT_POLL_MAX];
    unsigned count = 0;
    uint32_t i;

    for (i = 0; i < h->ports_end && count < PORT_POLL_MAX; i++)
        if (h->ports[i] != NULL)
            ports[count++] = i;
    if (i < h->ports_end)
        deadline = flow_deadline_min(
            deadline, h->base.env->now(h->base.env->ctx) + PORT_POLL_NAP);
    port_poll_list(h, ports, count, deadline);
    flow__unikernel_port_upcall(h);
}
