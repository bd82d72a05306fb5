/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "pki.h"

const char *
pki(const char *file)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof(path[0]), "%s/%s", TEST_PKI, file);
    return p;
}
