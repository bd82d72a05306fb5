/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/config.h"
#include "tls/tls_flow.h"

/*
 * The answers of a flow about exported keying material.
 *
 * Invariant: a value is either in the memory after its flow or in the caller's
 * buffer, and the former is wiped with the flow.
 *
 * Locks: both of the flow, as for any of its facts (tls/tls_flow.h).
 */

#define EXPORT_LEN_MAX 8160u /* 255 blocks of SHA-256 */

/* Under the locks. */
static enum flow_status
export_answer(struct flow__tls *t, const struct flow__exporter *wanted,
              uint8_t *buf)
{
    struct flow__exported *x = flow__tls_exported(t);
    size_t off;

    if (t->hs != NULL)
        return FLOW_AGAIN;
    if (x == NULL || !x->is_safe)
        return FLOW_E_NOTSUP;
    if (flow__config_declares(t->config, wanted, &off)) {
        memcpy(buf, x->value + off, wanted->len);
        return FLOW_OK;
    }
    return x->engine != NULL ? flow__engine_export(x->engine, wanted, buf)
                             : FLOW_E_NOTSUP;
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_export(struct flow *f, const char *label, const void *context,
                size_t context_len, void *buf, size_t len)
{
    const struct flow__exporter wanted = { label, context, context_len, len };
    struct flow__tls *t = flow__tls_find(f);
    enum flow_status st;

    if (!flow__config_may_export(&wanted, EXPORT_LEN_MAX))
        return FLOW_E_INVAL;
    if (t == NULL)
        return FLOW_E_NOTSUP;
    if (flow__tls_is_inherited(t))
        return FLOW_E_INVAL;
    flow__tls_lock(t);
    st = export_answer(t, &wanted, buf);
    flow__tls_unlock(t);
    return st;
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_get_channel_binding(struct flow *f, uint8_t ret[FLOW_TLS_BINDING_LEN])
{
    return flow_tls_export(f, FLOW_TLS_BINDING_LABEL, "", 0, ret,
                           FLOW_TLS_BINDING_LEN);
}
