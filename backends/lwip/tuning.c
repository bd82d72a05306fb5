/* SPDX-License-Identifier: ISC */
#include <lwip/ip.h>

#include "backends/lwip/lwip.h"

/* What a flow and the block of its connection tell each other. */

void
flow__lwip_tune(struct lwip_flow *t)
{
    struct tcp_pcb *pcb = t->wire.pcb;

    if (t->tuning.delay)
        tcp_nagle_enable(pcb);
    else
        tcp_nagle_disable(pcb);
    if (t->tuning.keepalive)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
}

void
flow__lwip_note_addresses(struct lwip_flow *t)
{
    const struct tcp_pcb *pcb = t->wire.pcb;

    t->local = pcb->local_ip;
    t->peer = pcb->remote_ip;
    t->local_port = pcb->local_port;
    t->peer_port = pcb->remote_port;
    t->known = true;
}
