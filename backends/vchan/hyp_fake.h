/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_H
#define FLOW_VCHAN_HYP_FAKE_H

#include "backends/vchan/hyp.h"

/*
 * A hypervisor for machines without one: domains are whoever opens the same
 * directory, in one process or in many.
 */

/* Make the directory rather than join it. */
#define VCHAN_FAKE_MAKE 0x1u
/*
 * Make: a death is what the destruction of a domain is, nothing but a state
 * of the event channel.  Without it, it is the death of a process on Linux:
 * its live byte is cleared and an event comes.
 */
#define VCHAN_FAKE_SILENT 0x2u

enum flow_status flow__vchan_fake_open(const struct flow_env *env,
                                       const char *path, uint16_t domid,
                                       unsigned flags,
                                       struct vchan_hyp **ret_hyp,
                                       struct flow_error *err);

/* Kills the domain, for tests: its flows are still there to be closed. */
void flow__vchan_fake_kill(struct vchan_hyp *hyp);

#endif
