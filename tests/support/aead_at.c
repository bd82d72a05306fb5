/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "tls/aead.h"

/*
 * The choice of ciphers for tests, in place of tls/aead_at.c: the provider that
 * FLOW_TEST_AEAD names comes first, so that it does what it can and the others
 * the rest.  A name that this build does not have ends the program.
 */

/* The number of the chosen one; 0 without a choice. */
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
