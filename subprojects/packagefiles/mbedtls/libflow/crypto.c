/* SPDX-License-Identifier: ISC */
#include "crypto.h"

#include <openssl/err.h>

#include "memory.h"

/* See libflow/crypto.h. */
void
flow__crypto_begin(void)
{
    (void)ERR_set_mark();
}

/* See libflow/crypto.h. */
void
flow__crypto_end(void)
{
    (void)ERR_pop_to_mark();
}

/* See libflow/crypto.h. */
int
flow__crypto_cause(int no_memory, int other)
{
    if (ERR_GET_REASON(ERR_peek_last_error()) != ERR_R_MALLOC_FAILURE)
        return other;
    flow__mbed_note_no_memory();
    return no_memory;
}

/* See libflow/crypto.h. */
bool
flow__crypto_reason(int lib, int reason)
{
    const unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == lib && ERR_GET_REASON(error) == reason;
}
