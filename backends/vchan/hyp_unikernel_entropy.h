/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_UNIKERNEL_ENTROPY_H
#define FLOW_VCHAN_HYP_UNIKERNEL_ENTROPY_H

#include <flow/entropy.h>

#include "backends/vchan/hyp_unikernel.h"

/* The channel of xentropyd in this domain. */
struct unikernel_entropy;

/* FLOW_E_NOTSUP: the store names no such channel. */
enum flow_status
flow__unikernel_entropy_open(struct unikernel_hyp *h,
                             struct unikernel_entropy **ret_entropy,
                             struct flow_error *err);
/* Valid until the close. */
const struct flow_entropy_source *
flow__unikernel_entropy_source(const struct unikernel_entropy *e);
void flow__unikernel_entropy_close(struct unikernel_entropy *e);

#endif
