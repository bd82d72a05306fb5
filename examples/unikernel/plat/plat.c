/* SPDX-License-Identifier: ISC */
#include "plat.h"

#include "xen/xen.h"

const struct plat *
plat_get(void)
{
    static const struct plat *chosen;

    if (chosen == NULL)
        chosen = domain_is_xen() ? &plat_xen : &plat_pc;
    return chosen;
}
