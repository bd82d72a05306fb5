/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_H
#define FLOW_VCHAN_HYP_FAKE_H

#include "backends/vchan/hyp.h"

/*
 * A hypervisor for machines without one.  Each opening of a directory is a
 * domain, in one process or in several.
 */

/* Make the directory instead of joining it. */
#define VCHAN_FAKE_MAKE 0x1u
/*
 * With VCHAN_FAKE_MAKE: the end of a process is like the destruction of its
 * domain, of which only the state of the event channel tells.  Without this
 * flag it is like the exit of a process on Linux: its live byte is cleared and
 * an event is sent.
 */
#define VCHAN_FAKE_SILENT 0x2u

enum flow_status flow__vchan_fake_open(const struct flow_env *env,
                                       const char *path, uint16_t domid,
                                       unsigned flags,
                                       struct vchan_hyp **ret_hyp,
                                       struct flow_error *err);

/* Kills the domain, for tests; its flows can still be closed. */
void flow__vchan_fake_kill(struct vchan_hyp *hyp);

#endif
