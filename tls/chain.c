/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_verify.h>

#include "tls/cert.h"
#include "tls/der.h"
#include "tls/dn.h"
#include "tls/pem.h"

/* Certificates for a verification, and after it. */

/* Append each block of text to chain, which has room for all of them. */
static enum flow_status
chain_append(const struct flow_env *env, struct flow__span text, uint8_t *chain,
             size_t *ret_len)
{
    struct flow__span der;
    enum flow_status st;
    size_t size;

    *ret_len = 0;
    while ((st = flow__pem_next(env, &text, "CERTIFICATE", &der, &size)) ==
           FLOW_OK) {
        memcpy(chain + *ret_len, der.base, der.len);
        *ret_len += der.len;
        flow_env_free(env, (void *)(uintptr_t)der.base, size);
    }
    if (st != FLOW_EOF)
        return st;
    return *ret_len > 0 ? FLOW_OK : FLOW_E_INVAL;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_decode_chain(const struct flow_env *env, const void *data, size_t len,
                      uint8_t **ret_chain, size_t *ret_len)
{
    const struct flow__span bytes = { data, len };
    uint8_t *room, *chain;
    enum flow_status st = FLOW_OK;
    size_t used = len;

    if (len == 0)
        return FLOW_E_INVAL;
    if (env == NULL)
        env = flow_env_default();
    room = flow_env_alloc(env, len);
    if (room == NULL)
        return FLOW_E_NOMEM;
    if (flow__pem_is_text(bytes))
        st = chain_append(env, bytes, room, &used);
    else if (flow__der_is_next(&bytes, FLOW__DER_SEQUENCE))
        memcpy(room, data, len);
    else
        st = FLOW_E_INVAL;
    chain = st == FLOW_OK ? flow_env_alloc(env, used) : NULL;
    if (chain != NULL) {
        memcpy(chain, room, used);
        *ret_chain = chain;
        *ret_len = used;
    }
    flow_env_free(env, room, len);
    return st == FLOW_OK && chain == NULL ? FLOW_E_NOMEM : st;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_get_subject(const struct flow_tls_der *cert, char *buf, size_t cap)
{
    const struct flow__span der = { cert->base, cert->len };
    struct flow__cert facts;

    if (!flow__cert_read(der, &facts))
        return FLOW_E_INVAL;
    (void)flow__dn_text(facts.subject, buf, cap);
    return FLOW_OK;
}
