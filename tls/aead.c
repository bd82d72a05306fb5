/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <stddef.h>

static const struct flow__aead_provider *const providers[] = {
    &flow__aead_psa,
};

size_t
flow__aead_tag_len(enum flow__aead_alg alg)
{
    return alg == FLOW__AEAD_AES_CCM_8 ? 8 : 16;
}

const struct flow__aead_provider *
flow__aead_at(size_t index)
{
    return index < sizeof(providers) / sizeof(providers[0]) ? providers[index]
                                                            : NULL;
}

const struct flow__aead_provider *
flow__aead_find(enum flow__aead_alg alg, size_t key_len)
{
    const struct flow__aead_provider *p;

    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        if (p->supports(alg, key_len))
            return p;
    return NULL;
}
