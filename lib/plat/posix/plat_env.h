/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_POSIX_PLAT_ENV_H
#define FLOW_LIB_PLAT_POSIX_PLAT_ENV_H

#include "lib/plat.h"

/* The members of flow_env_default() that have a file of their own. */
enum flow_status flow__plat_wait(void *ctx, struct flow_wait_set *set,
                                 uint64_t deadline);
extern const struct flow_resolver flow__plat_resolver;

#endif
