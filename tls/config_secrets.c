/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/config.h"

/* Which secrets of its connections a configuration gives out: exporters and the
 * key log. */

/* RFC 5705 4: labels of TLS itself, whose values must not be exported. */
static const char *const secrets_reserved[] = {
    "client finished", "server finished",        "master secret",
    "key expansion",   "extended master secret",
};

/* See tls/config.h. */
bool
flow__config_may_export(const struct flow__exporter *e, size_t most)
{
    size_t len = strlen(e->label);

    if (len == 0 || len > FLOW_TLS_LABEL_MAX ||
        e->context_len > FLOW_TLS_CONTEXT_MAX ||
        (e->context == NULL && e->context_len > 0) || e->len == 0 ||
        e->len > most)
        return false;
    for (size_t i = 0; i < len; i++)
        if (e->label[i] < 0x20 || e->label[i] > 0x7e)
            return false;
    for (size_t i = 0;
         i < sizeof(secrets_reserved) / sizeof(secrets_reserved[0]); i++)
        if (strcmp(e->label, secrets_reserved[i]) == 0)
            return false;
    return true;
}

static bool
secrets_same_exporter(const struct flow__exporter *a,
                      const struct flow__exporter *b)
{
    return strcmp(a->label, b->label) == 0 && a->len == b->len &&
           (a->context == NULL) == (b->context == NULL) &&
           a->context_len == b->context_len &&
           (a->context_len == 0 ||
            memcmp(a->context, b->context, a->context_len) == 0);
}

/* See tls/config.h. */
bool
flow__config_declares(const struct flow_tls_config *c,
                      const struct flow__exporter *e, size_t *ret_off)
{
    *ret_off = 0;
    for (size_t i = 0; i < c->exporter_count; i++) {
        if (secrets_same_exporter(&c->exporter[i].is, e))
            return true;
        *ret_off += c->exporter[i].is.len;
    }
    return false;
}

/* See tls/config.h. */
void
flow__config_free_exporters(struct flow_tls_config *c)
{
    for (size_t i = 0; i < c->exporter_count; i++)
        flow_env_free(c->env, c->exporter[i].memory, c->exporter[i].size);
    c->exporter_count = 0;
}

static bool
secrets_copy_exporter(const struct flow_env *env,
                      const struct flow__exporter *e,
                      struct flow__exporter_declared *ret)
{
    const size_t label_size = strlen(e->label) + 1;

    ret->size = label_size + e->context_len;
    ret->memory = flow_env_alloc(env, ret->size);
    if (ret->memory == NULL)
        return false;
    memcpy(ret->memory, e->label, label_size);
    if (e->context_len > 0)
        memcpy(ret->memory + label_size, e->context, e->context_len);
    ret->is = *e;
    ret->is.label = (const char *)ret->memory;
    if (e->context != NULL)
        ret->is.context = ret->memory + label_size;
    return true;
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_config_add_exporter(struct flow_tls_config *c, const char *label,
                             const void *context, size_t context_len,
                             size_t len)
{
    const struct flow__exporter e = { label, context, context_len, len };
    size_t off;

    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (!flow__engine_can_export())
        return FLOW_E_NOTSUP;
    if (!flow__config_may_export(&e, FLOW_TLS_EXPORTED_MAX))
        return FLOW_E_INVAL;
    if (flow__config_declares(c, &e, &off))
        return FLOW_OK;
    if (c->exporter_count == FLOW_TLS_EXPORTERS)
        return FLOW_E_INVAL;
    if (!secrets_copy_exporter(c->env, &e, &c->exporter[c->exporter_count]))
        return FLOW_E_NOMEM;
    c->exporter_count++;
    return FLOW_OK;
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_config_add_channel_binding(struct flow_tls_config *c)
{
    return flow_tls_config_add_exporter(c, FLOW_TLS_BINDING_LABEL, "", 0,
                                        FLOW_TLS_BINDING_LEN);
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_config_keep_engine(struct flow_tls_config *c, bool keep)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (!flow__engine_can_export())
        return FLOW_E_NOTSUP;
    c->keep_engine = keep;
    return FLOW_OK;
}

/* See <flow/tls_export.h>. */
enum flow_status
flow_tls_config_insecure_set_key_log(struct flow_tls_config *c,
                                     flow_tls_key_log_fn *fn, void *user)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->key_log = fn;
    c->key_log_user = user;
    return FLOW_OK;
}
