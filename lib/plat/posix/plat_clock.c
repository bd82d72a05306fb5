/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "lib/plat.h"

uint64_t
flow__plat_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    /* The first two values mean never and at once. */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 2;
}

int64_t
flow__plat_wall(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    /* -1 would mean that the time is unknown. */
    return now.tv_sec != -1 ? (int64_t)now.tv_sec : -2;
}
