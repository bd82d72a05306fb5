/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/psa.h"

/* Written by init_start(), once, before anything reads them. */
static bool init_needs_lock;
static struct flow_lock init_lock;
static uint32_t init_started;

static void
init_start(void)
{
    flow_lock_init(&init_lock);
    init_needs_lock = !flow__mbed_has(FLOW__MBED_LOCKS);
}

/* See tls/engine.h. */
enum flow_status
flow__engine_init(struct flow_error *err)
{
    uint8_t probe[1];
    enum flow_status st;
    int rc;

    flow__mbed_enter();
    st = flow__psa_init();
    rc = flow__mbed_result(0);
    flow__mbed_leave();
    if (rc != 0)
        return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                              "no memory for the engine");
    if (st == FLOW_OK && !flow__plat_random(probe, sizeof(probe)))
        st = FLOW_E_ENTROPY;
    flow_wipe(probe, sizeof(probe));
    if (st == FLOW_E_ENTROPY)
        return flow__plat_random_error(err, "tls");
    if (st == FLOW_OK)
        return FLOW_OK;
    return flow_error_set(err, st, "tls", FLOW_DOMAIN_NONE, 0,
                          "the engine does not start");
}

void
flow__mbed_enter(void)
{
    flow_once(init_start, &init_started);
    flow_fork_block();
    if (init_needs_lock)
        flow_lock_acquire(&init_lock);
    flow__mbed_watch_memory();
}

void
flow__mbed_leave(void)
{
    if (init_needs_lock)
        flow_lock_release(&init_lock);
    flow_fork_unblock();
}
