/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/cert.h"
#include "tls/config.h"
#include "tls/dn.h"
#include "tls/harvest.h"
#include "tls/tls_flow.h"

static uint32_t
info_end_of_reading(const struct flow__tls *t)
{
    if (t->reader.closed)
        return FLOW_END_AUTHENTICATED;
    return t->reader.gone ? FLOW_END_GONE : FLOW_END_NONE;
}

static uint32_t
info_end_of_writing(const struct flow__tls *t)
{
    if (t->writer.close_sealed &&
        flow__writer_is_idle((struct flow__writer *)&t->writer))
        return FLOW_END_AUTHENTICATED;
    return t->writer.dead ? FLOW_END_GONE : FLOW_END_NONE;
}

static enum flow_status
info_answer_u32(void *buf, size_t *len, uint32_t value)
{
    return flow_answer(buf, len, &value, sizeof(value));
}

static const char *
info_group_name(uint16_t group)
{
    switch (group) {
    case FLOW_TLS_GROUP_X25519:
        return "x25519";
    case FLOW_TLS_GROUP_P256:
        return "secp256r1";
    case FLOW_TLS_GROUP_P384:
        return "secp384r1";
    case FLOW_TLS_GROUP_P521:
        return "secp521r1";
    default:
        return "";
    }
}

static size_t
info_footprint(struct flow__tls *t)
{
    const struct flow__exported *exported = flow__tls_exported(t);
    size_t sum = flow__tls_size(t->config) + t->reader.cipher.cap +
                 t->reader.plain.cap + t->reader.post.cap + t->writer.out.cap +
                 t->writer.open.cap + t->agreed.peer_chain_len +
                 flow__agreed_names_len(&t->agreed);

    if (exported != NULL && exported->engine != NULL)
        sum += flow__engine_footprint();
    if (t->reader.harvest != NULL)
        sum += flow__harvest_footprint(t->reader.harvest);
    if (t->hs != NULL)
        sum += flow__handshake_footprint(t->hs);
    if (t->reader.keys.ctx != NULL)
        sum += t->reader.keys.provider->ctx_size;
    if (t->writer.keys.ctx != NULL)
        sum += t->writer.keys.provider->ctx_size;
    return sum;
}

static struct flow_tls_der
info_peer_cert(const struct flow__agreed *a)
{
    struct flow_tls_der chain = { a->peer_chain, a->peer_chain_len };
    struct flow_tls_der cert = { NULL, 0 };

    (void)!flow_tls_next_cert(&chain, &cert);
    return cert;
}

static void
info_fill(const struct flow__tls *t, struct flow_tls_info *info)
{
    const struct flow__suite *suite = t->writer.keys.suite;
    const struct flow__agreed *a = &t->agreed;

    memset(info, 0, sizeof(*info));
    info->version = (enum flow_tls_version)a->version;
    info->suite = suite->id;
    info->suite_name = suite->name;
    info->group = a->group;
    info->group_name = info_group_name(a->group);
    info->resumed = a->resumed;
    info->alpn = a->alpn;
    info->server_name = flow__agreed_server_name(a);
    info->matched_name = flow__agreed_matched_name(a);
    info->entry = t->config->server
                      ? flow_tls_sni_entry_id(t->config->sni, a->entry)
                      : "";
    info->verify_flags = a->verify_flags;
    info->verified = a->verify_flags == 0;
    info->peer_chain = a->peer_chain;
    info->peer_chain_len = a->peer_chain_len;
    info->peer_cert = info_peer_cert(a);
    info->key_updates_sent = t->writer.updates;
    info->key_updates_received = t->reader.updates;
}

/* Facts that are there once the handshake is over. */
static enum flow_status
info_query_agreed(struct flow__tls *t, enum flow_query_key key, void *buf,
                  size_t *len)
{
    struct flow_tls_info info;

    if (t->hs != NULL)
        return FLOW_AGAIN;
    if (key == FLOW_QUERY_OVERHEAD)
        return info_answer_u32(
            buf, len,
            (uint32_t)(flow__record_prefix(&t->writer.keys) +
                       flow__record_suffix(&t->writer.keys)));
    info_fill(t, &info);
    return flow_answer(buf, len, &info, sizeof(info));
}

static enum flow_status
info_query(struct flow__tls *t, enum flow_query_key key, void *buf, size_t *len)
{
    size_t held;

    switch ((int)key) {
    case FLOW_QUERY_TLS_INFO:
    case FLOW_QUERY_OVERHEAD:
        return info_query_agreed(t, key, buf, len);
    case FLOW_QUERY_END_READ:
        return info_answer_u32(buf, len, info_end_of_reading(t));
    case FLOW_QUERY_END_WRITE:
        return info_answer_u32(buf, len, info_end_of_writing(t));
    case FLOW_QUERY_FOOTPRINT:
        held = info_footprint(t);
        return flow_answer(buf, len, &held, sizeof(held));
    default:
        return FLOW_E_NOTSUP;
    }
}

/* Take both locks, unless this is a forked process.  That one is alone with its
 * copy, where a lock that another thread held stays held for ever. */
static void
info_enter(struct flow__tls *t, bool is_copy)
{
    if (!is_copy)
        flow__tls_lock(t);
}

static void
info_leave(struct flow__tls *t, bool is_copy)
{
    if (!is_copy)
        flow__tls_unlock(t);
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    struct flow__tls *t = flow__tls_cast(f);
    bool is_copy = flow__tls_is_inherited(t);
    enum flow_status st = FLOW_E_INVAL;

    info_enter(t, is_copy);
    /* A handshake may have been copied in the middle of a step. */
    if (!is_copy || t->hs == NULL)
        st = info_query(t, key, buf, len);
    info_leave(t, is_copy);
    return st;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_get_peer_subject(struct flow *f, char *buf, size_t cap)
{
    struct flow_tls_info info;
    enum flow_status st = flow_tls_get_info(f, &info);
    struct flow__span leaf;
    struct flow__cert facts;
    char none;

    if (st != FLOW_OK)
        return st;
    leaf.base = info.peer_cert.base;
    leaf.len = info.peer_cert.len;
    if (info.verify_flags != 0 || !flow__cert_read(leaf, &facts))
        return FLOW_E_AUTH;
    if (flow__dn_text(facts.subject, &none, 1) >= cap)
        return FLOW_E_INVAL;
    (void)flow__dn_text(facts.subject, buf, cap);
    return FLOW_OK;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_get_info(struct flow *f, struct flow_tls_info *ret_info)
{
    struct flow_tls_info info;
    size_t len = sizeof(info);
    enum flow_status st = flow_query(f, FLOW_QUERY_TLS_INFO, &info, &len);

    /* A backend of another release may have a shorter struct. */
    if (st == FLOW_OK && len != sizeof(info))
        return FLOW_E_NOTSUP;
    if (st == FLOW_OK)
        *ret_info = info;
    return st;
}
