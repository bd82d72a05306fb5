/* SPDX-License-Identifier: ISC */
#include "xen.h"

#include "../../core/memory.h"
#include "../../core/report.h"
#include "../x86/cpu.h"

/*
 * The console: two rings in a page that the console daemon shares
 * (xen/io/console.h).
 *
 * The daemon may be hostile: its index is read once, and what it says is used
 * only as far as it fits the ring.
 */

#define RING_PAGE  17 /* HVM_PARAM_CONSOLE_PFN */
#define RING_PORT  18 /* HVM_PARAM_CONSOLE_EVTCHN */
#define RING_IN    1024
#define RING_OUT   2048
#define RING_YIELD 0 /* SCHEDOP_yield */

#define RING_DEBUG_PORT 0xe9
#define RING_TRIES      1000000 /* until a full ring is given up */

struct ring {
    char in[RING_IN], out[RING_OUT];
    uint32_t in_consumed, in_produced;
    uint32_t out_consumed, out_produced;
};

static volatile struct ring *ring;
static uint32_t ring_event;

void
ring_start(void)
{
    uintptr_t page = domain_parameter(RING_PAGE) * MEMORY_PAGE;

    ring_event = (uint32_t)domain_parameter(RING_PORT);
    memory_map_shared(page);
    ring = (volatile struct ring *)page;
}

uint32_t
ring_port(void)
{
    return ring_event;
}

/* False if the daemon does not make room. */
static bool
ring_put_byte(char c)
{
    uint32_t produced = ring->out_produced, tries = 0;

    while (produced - ring->out_consumed >= RING_OUT) {
        if (++tries == RING_TRIES)
            return false;
        shared_info_send(ring_event);
        hypercall_make(XEN_SCHED_OP, RING_YIELD, 0, 0);
    }
    ring->out[produced % RING_OUT] = c;
    cpu_order();
    ring->out_produced = produced + 1;
    return true;
}

void
ring_put(const char *text, size_t len)
{
    size_t i;

    if (ring == NULL) {
        for (i = 0; i < len; i++)
            cpu_out8(RING_DEBUG_PORT, (uint8_t)text[i]);
        return;
    }
    for (i = 0; i < len; i++) {
        if (text[i] == '\n' && !ring_put_byte('\r'))
            break;
        if (!ring_put_byte(text[i]))
            break;
    }
    cpu_order_all();
    shared_info_send(ring_event);
}

bool
ring_get(char *ret_byte)
{
    uint32_t consumed;

    if (ring == NULL)
        return false;
    consumed = ring->in_consumed;
    if (ring->in_produced == consumed)
        return false;
    cpu_order();
    *ret_byte = ring->in[consumed % RING_IN];
    cpu_order_all();
    ring->in_consumed = consumed + 1;
    return true;
}
