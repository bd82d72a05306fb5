/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/tls_flow.h"

static uint32_t
info_end_of_reading(const struct flow__tls *t)
{
    if (t->reader.closed)
        return FLOW_END_AUTHENTICATED;
    return t->gone ? FLOW_END_GONE : FLOW_END_NONE;
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
    size_t sum = sizeof(*t) + t->reader.cipher.cap + t->reader.plain.cap +
                 t->reader.post.cap + t->writer.out.cap + t->writer.open.cap +
                 t->agreed.peer_chain_len + t->agreed.names_len;

    if (t->hs != NULL)
        sum += flow__handshake_footprint(t->hs);
    if (t->reader.keys.ctx != NULL)
        sum += t->reader.keys.provider->ctx_size;
    if (t->writer.keys.ctx != NULL)
        sum += t->writer.keys.provider->ctx_size;
    return sum;
}

/* Facts that are there once the handshake is over. */
static enum flow_status
info_query_agreed(struct flow__tls *t, enum flow_query_key key, void *buf,
                  size_t *len)
{
    const struct flow__agreed *a = &t->agreed;

    if (t->hs != NULL)
        return FLOW_AGAIN;
    switch ((int)key) {
    case FLOW_QUERY_ALPN:
        return flow_answer_string(buf, len, a->alpn);
    case FLOW_QUERY_SERVER_NAME:
        return flow_answer_string(buf, len, a->server_name);
    case FLOW_QUERY_MATCHED_NAME:
        return flow_answer_string(buf, len, a->matched_name);
    case FLOW_QUERY_VERSION:
        return info_answer_u32(buf, len, a->version);
    case FLOW_QUERY_SUITE:
        return flow_answer_string(buf, len, a->suite->name);
    case FLOW_QUERY_GROUP:
        return flow_answer_string(buf, len, info_group_name(a->group));
    case FLOW_QUERY_PEER_CHAIN:
        return flow_answer(buf, len, a->peer_chain, a->peer_chain_len);
    case FLOW_QUERY_VERIFY_FLAGS:
        return info_answer_u32(buf, len, a->verify_flags);
    case FLOW_QUERY_RESUMED:
        return info_answer_u32(buf, len, a->resumed ? 1 : 0);
    default:
        return info_answer_u32(
            buf, len,
            (uint32_t)(flow__record_prefix(&t->writer.keys) +
                       flow__record_suffix(&t->writer.keys)));
    }
}

static enum flow_status
info_query(struct flow__tls *t, enum flow_query_key key, void *buf, size_t *len)
{
    size_t held;

    switch ((int)key) {
    case FLOW_QUERY_ALPN:
    case FLOW_QUERY_SERVER_NAME:
    case FLOW_QUERY_MATCHED_NAME:
    case FLOW_QUERY_VERSION:
    case FLOW_QUERY_SUITE:
    case FLOW_QUERY_GROUP:
    case FLOW_QUERY_PEER_CHAIN:
    case FLOW_QUERY_VERIFY_FLAGS:
    case FLOW_QUERY_RESUMED:
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

/* Both locks, where somebody else may be inside.  A forked process is alone
 * with its copy, and a lock that another thread held is held there for ever. */
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

static void
info_tell(const struct flow__tls *t, struct flow_tls_info *info)
{
    info->version = (enum flow_tls_version)t->agreed.version;
    info->suite = t->agreed.suite->id;
    info->suite_name = t->agreed.suite->name;
    info->group = t->agreed.group;
    info->resumed = t->agreed.resumed;
    info->alpn = t->agreed.alpn;
    info->server_name = t->agreed.server_name;
    info->matched_name = t->agreed.matched_name;
    info->verify_flags = t->agreed.verify_flags;
    info->peer_chain = t->agreed.peer_chain;
    info->peer_chain_len = t->agreed.peer_chain_len;
    info->key_updates_sent = t->writer.updates;
    info->key_updates_received = t->reader.updates;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_get_info(struct flow *f, struct flow_tls_info *ret_info)
{
    struct flow__tls *t = flow__tls_of(f);
    bool is_copy, over;

    if (t == NULL)
        return FLOW_E_NOTSUP;
    is_copy = flow__tls_is_inherited(t);
    info_enter(t, is_copy);
    over = t->hs == NULL;
    if (over)
        info_tell(t, ret_info);
    info_leave(t, is_copy);
    if (over)
        return FLOW_OK;
    return is_copy ? FLOW_E_INVAL : FLOW_AGAIN;
}
