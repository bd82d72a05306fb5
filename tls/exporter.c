/* SPDX-License-Identifier: ISC */
#include "tls/exporter.h"

#include "tls/config.h"
#include "tls/engine.h"

/* Exported keying material, computed at the end of the handshake while the
 * engine still has the secret. */

static bool
exporter_is_wanted(const struct flow_tls_config *c)
{
    return c->exporter_count > 0 || c->keep_engine;
}

/* See tls/exporter.h. */
size_t
flow__exported_size(const struct flow_tls_config *c)
{
    size_t size = sizeof(struct flow__exported);

    if (!exporter_is_wanted(c))
        return 0;
    for (size_t i = 0; i < c->exporter_count; i++)
        size += c->exporter[i].is.len;
    return size;
}

/* See tls/exporter.h. */
enum flow_status
flow__exported_fill(struct flow__exported *x, const struct flow_tls_config *c,
                    struct flow__engine *engine)
{
    uint8_t *at = x->value;
    enum flow_status st = FLOW_OK;

    if (!x->is_safe)
        return FLOW_OK;
    for (size_t i = 0; i < c->exporter_count && st == FLOW_OK; i++) {
        st = flow__engine_export(engine, &c->exporter[i].is, at);
        at += c->exporter[i].is.len;
    }
    return st;
}
