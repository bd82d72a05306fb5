/* SPDX-License-Identifier: ISC */
#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

/* See libflow/crypto.h. */
bool
flow__crypto_begin(void)
{
    (void)ERR_set_mark();
    return OPENSSL_init_crypto(0, NULL) == 1;
}

/* See libflow/crypto.h. */
void
flow__crypto_end(void)
{
    (void)ERR_pop_to_mark();
}

/* See libflow/crypto.h. */
bool
flow__crypto_is_alone(void)
{
    return ERR_peek_error() == 0;
}

static bool
crypto_is_memory(unsigned long error)
{
    return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
}

/* See libflow/crypto.h. */
bool
flow__crypto_lacks_memory(bool is_alone)
{
    unsigned long error = ERR_peek_last_error();

    while (is_alone && error != 0 && !crypto_is_memory(error))
        error = ERR_get_error();
    return crypto_is_memory(error);
}
