/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"

/* See <flow/port.h>. */
uint32_t
flow_process(void)
{
    return 1;
}

/* See <flow/port.h>. */
void
flow_fork_block(void)
{
}

/* See <flow/port.h>. */
void
flow_fork_unblock(void)
{
}
