/* SPDX-License-Identifier: ISC */
#include "flow/schemes.h"

/* A unikernel that makes its flows without addresses. */
const struct flow_scheme *const flow__schemes[] = { NULL };
