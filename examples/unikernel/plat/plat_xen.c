/* SPDX-License-Identifier: ISC */
#include "plat.h"

/* plat.c of an image for Xen alone. */
const struct plat *
plat_get(void)
{
    return &plat_xen;
}
