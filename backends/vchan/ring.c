/* SPDX-License-Identifier: ISC */
#include "backends/vchan/ring.h"
#include "backends/vchan/shm.h"

uint8_t
flow__vchan_live_look(struct vchan_live *live, enum vchan_fault *ret_fault)
{
    uint8_t now;

    if (live->seen == VCHAN_LIVE_GONE)
        return VCHAN_LIVE_GONE;

    now = flow__shm_load8(live->byte);
    if (now > live->max)
        *ret_fault = VCHAN_FAULT_LIVE_VALUE;
    else if (now > live->seen)
        *ret_fault = VCHAN_FAULT_LIVE_BACK;
    else {
        live->seen = now;
        return now;
    }
    live->seen = VCHAN_LIVE_GONE;
    return VCHAN_LIVE_GONE;
}

void
flow__vchan_request(const struct vchan_notify *notify, uint8_t bit)
{
    flow__shm_set8(notify->peer, bit);
    flow__shm_fence();
}

bool
flow__vchan_requested(const struct vchan_notify *notify, uint8_t bit)
{
    flow__shm_fence();
    if ((flow__shm_load8(notify->own) & bit) == 0)
        return false;
    flow__shm_clear8(notify->own, bit);
    return true;
}
