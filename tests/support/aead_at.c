/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "tls/aead.h"

/*
 * The selection of AEAD providers for tests, in place of tls/aead_at.c.  The
 * provider that FLOW_TEST_AEAD names comes first: it is used for every
 * algorithm that it has, and the others for the rest.  If this build does not
 * have the provider, the program exits.
 */

/* Index of the selected provider; 0 if none is selected. */
static size_t
chosen(void)
{
    const char *name = getenv("FLOW_TEST_AEAD");
    size_t i = 0;

    if (name == NULL)
        return 0;
    while (flow__aead_list[i] != NULL &&
           strcmp(flow__aead_list[i]->name, name) != 0)
        i++;
    if (flow__aead_list[i] == NULL)
        abort();
    return i;
}

/* See tls/aead.h. */
const struct flow__aead_provider *
flow__aead_at(size_t index)
{
    const size_t first = chosen();
    size_t i = 0;

    if (index == 0)
        return flow__aead_list[first];
    if (index <= first)
        return flow__aead_list[index - 1];
    while (i < index && flow__aead_list[i] != NULL)
        i++;
    return flow__aead_list[i];
}
