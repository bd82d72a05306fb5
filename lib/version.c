/* SPDX-License-Identifier: ISC */
#include <flow/version.h>

/* See <flow/version.h>. */
const char *
flow_version(void)
{
    return FLOW_VERSION_STRING;
}
