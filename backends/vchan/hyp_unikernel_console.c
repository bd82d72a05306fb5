/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <xen/io/console.h>

#include "backends/vchan/shm.h"

/*
 * Output to the console of the domain (xen/io/console.h).  No lock: a panic may
 * call it, and then a line in progress is cut short.
 */
size_t
flow__unikernel_console_write(const struct unikernel_hyp *h, const char *text,
                              size_t len)
{
    struct xencons_interface *ring = h->guest->console;
    uint32_t prod, filled;
    size_t done = 0;

    if (ring == NULL)
        return 0;
    prod = flow__shm_load32(&ring->out_prod);
    filled = prod - flow__shm_load32(&ring->out_cons);
    if (filled > sizeof(ring->out))
        return 0;
    /* The console has read these bytes before it moved its index. */
    flow__shm_fence();
    for (; done < len && filled < sizeof(ring->out); done++, filled++)
        flow__shm_store8(
            (uint8_t *)&ring->out[MASK_XENCONS_IDX(prod++, ring->out)],
            (uint8_t)text[done]);
    flow__shm_store32(&ring->out_prod, prod);
    flow__unikernel_port_send(h, h->guest->console_port);
    return done;
}
