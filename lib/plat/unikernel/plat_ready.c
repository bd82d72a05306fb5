/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"

uint32_t
flow__plat_fd_ready(int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    return 0;
}
