/* SPDX-License-Identifier: ISC */
#include "tls/session.h"

#include <string.h>

#include "tls/cert.h"
#include "tls/der.h"
#include "tls/name.h"
#include "tls/tickets.h"

/*
 * A session in memory and as bytes.  As bytes it is
 *
 *     key 32 | version 2 | verify_flags 4 | begun 8 | ends 8
 *       | length 2, name | length 4, chain | length 4, state
 *
 * An attacker who can change the bytes can make us trust any server, so they
 * are read only after they were authenticated (sessions.c).  The parser is
 * bounded all the same.
 */

/* Longer than any chain that is accepted, and any ticket. */
#define SESSION_PART_MAX (1u << 20)
/* The end of 9999, the last year of a certificate. */
#define SESSION_CLOCK_MAX INT64_C(253402300799)

/* See tls/session.h. */
struct flow__session *
flow__session_new(const struct flow_env *env,
                  const struct flow__session_facts *facts,
                  const struct flow__session_parts *parts)
{
    const struct flow__span *from[] = { &parts->name, &parts->chain,
                                        &parts->state };
    size_t size = sizeof(struct flow__session) + parts->name.len +
                  parts->chain.len + parts->state.len;
    struct flow__session *s = flow_env_alloc(env, size);
    struct flow__span *to[3];
    size_t at = 0;

    if (s == NULL)
        return NULL;
    to[0] = &s->name;
    to[1] = &s->chain;
    to[2] = &s->state;
    for (int i = 0; i < 3; i++) {
        to[i]->base = s->bytes + at;
        to[i]->len = from[i]->len;
        if (from[i]->len > 0)
            memcpy(s->bytes + at, from[i]->base, from[i]->len);
        at += from[i]->len;
    }
    s->env = env;
    s->next = NULL;
    s->facts = *facts;
    s->size = size;
    return s;
}

/* See tls/session.h. */
void
flow__session_free(struct flow__session *s)
{
    const struct flow_env *env;
    size_t size;

    if (s == NULL)
        return;
    env = s->env;
    size = s->size;
    flow_wipe(s, size);
    flow_env_free(env, s, size);
}

/* See tls/session.h. */
int64_t
flow__session_clock(const struct flow_env *env)
{
    int64_t now = env->wall(env->ctx);

    return now >= 0 && now <= SESSION_CLOCK_MAX ? now : -1;
}

/* See tls/session.h. */
int64_t
flow__session_path_end(const struct flow_tls_verdict *verdict)
{
    int64_t end = INT64_MAX;

    for (size_t i = 0; i < verdict->path_len; i++) {
        const struct flow__span der = { verdict->path[i].base,
                                        verdict->path[i].len };
        struct flow__cert cert;

        if (flow__cert_read(der, &cert) && cert.not_after < end)
            end = cert.not_after;
    }
    return end;
}

/* See tls/session.h.  A chain may have certificates that no path needs, and
 * that had expired before. */
int64_t
flow__session_end(const struct flow__session_facts *facts,
                  struct flow__span chain, int64_t now, uint32_t life)
{
    int64_t end = now + (int64_t)life;
    struct flow__span der;
    struct flow__cert cert;

    if (end > facts->begun + FLOW__SESSION_LIFE)
        end = facts->begun + FLOW__SESSION_LIFE;
    if (end > facts->path_end)
        end = facts->path_end;
    while (chain.len > 0 &&
           flow__der_take_whole(&chain, FLOW__DER_SEQUENCE, &der))
        if (flow__cert_read(der, &cert) && cert.not_after >= facts->begun &&
            cert.not_after < end)
            end = cert.not_after;
    return end;
}

static bool
session_put_number(struct flow__queue *to, uint64_t value, int bytes)
{
    uint8_t b[8];

    for (int i = 0; i < bytes; i++)
        b[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    return flow__queue_append(to, b, (size_t)bytes);
}

static bool
session_put_part(struct flow__queue *to, struct flow__span part, int bytes)
{
    return session_put_number(to, part.len, bytes) &&
           (part.len == 0 || flow__queue_append(to, part.base, part.len));
}

/* See tls/session.h. */
bool
flow__session_write(const struct flow__session *s, struct flow__queue *to)
{
    const struct flow__session_facts *f = &s->facts;

    return flow__queue_append(to, f->key, sizeof(f->key)) &&
           session_put_number(to, f->version, 2) &&
           session_put_number(to, f->verify_flags, 4) &&
           session_put_number(to, (uint64_t)f->begun, 8) &&
           session_put_number(to, (uint64_t)f->ends, 8) &&
           session_put_part(to, s->name, 2) &&
           session_put_part(to, s->chain, 4) &&
           session_put_part(to, s->state, 4);
}

static bool
session_take_number(struct flow__span *from, size_t bytes, uint64_t *ret)
{
    struct flow__span field;

    *ret = 0;
    if (!flow__span_take(from, bytes, &field))
        return false;
    for (size_t i = 0; i < bytes; i++)
        *ret = *ret << 8 | field.base[i];
    return true;
}

static bool
session_take_part(struct flow__span *from, size_t bytes, struct flow__span *ret)
{
    uint64_t len;

    return session_take_number(from, bytes, &len) && len <= SESSION_PART_MAX &&
           flow__span_take(from, (size_t)len, ret);
}

static bool
session_take_facts(struct flow__span *from, struct flow__session_facts *ret)
{
    struct flow__span key;
    uint64_t version, flags, begun, ends;

    if (!flow__span_take(from, sizeof(ret->key), &key) ||
        !session_take_number(from, 2, &version) ||
        !session_take_number(from, 4, &flags) ||
        !session_take_number(from, 8, &begun) ||
        !session_take_number(from, 8, &ends))
        return false;
    memcpy(ret->key, key.base, sizeof(ret->key));
    ret->version = (uint16_t)version;
    ret->verify_flags = (uint32_t)flags;
    ret->begun = (int64_t)begun;
    ret->ends = (int64_t)ends;
    ret->verified_by = 0;
    ret->path_end = INT64_MAX;
    return (version == FLOW_TLS_1_2 || version == FLOW_TLS_1_3) &&
           begun <= INT64_MAX / 2 && ends <= INT64_MAX / 2;
}

/* See tls/session.h. */
enum flow_status
flow__session_read(const struct flow_env *env, struct flow__span *from,
                   struct flow__session **ret_session)
{
    struct flow__session_facts facts;
    struct flow__session_parts parts;

    if (!session_take_facts(from, &facts) ||
        !session_take_part(from, 2, &parts.name) ||
        parts.name.len > FLOW__NAME_MAX + 3 ||
        (parts.name.len > 0 &&
         memchr(parts.name.base, 0, parts.name.len) != NULL) ||
        !session_take_part(from, 4, &parts.chain) ||
        !session_take_part(from, 4, &parts.state))
        return FLOW_E_INVAL;
    *ret_session = flow__session_new(env, &facts, &parts);
    return *ret_session != NULL ? FLOW_OK : FLOW_E_NOMEM;
}
