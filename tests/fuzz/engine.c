/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/env.h>
#include <flow/tls.h>
#include <flow/tls_config.h>

#include "tests/fuzz/fuzz.h"
#include "tls/config.h"
#include "tls/engine.h"

/*
 * Input: a byte for version and groups, then a byte for each message that two
 * engines exchange: it is passed on unchanged, or is changed, truncated,
 * dropped, repeated, swapped, delivered at another level or to its sender.
 * After the end of the input all messages pass.
 *
 * Invariants: events are whole messages and secrets, each secret once; a
 * handshake without changes completes on both sides with the same secrets; a
 * side that received a changed message never completes, not even on the
 * Finished of a side that received one.
 */

#define MESSAGES_MAX  64
#define SECRETS_MAX   6
#define DELIVERED_MAX 48

struct message {
    uint8_t *bytes;
    size_t len;
    enum flow__level level;
    bool is_copy;    /* of a message that is passed on */
    bool is_tainted; /* the sending side was tampered with, too */
};

struct secret {
    enum flow__level level;
    bool is_write;
    uint8_t bytes[48];
    size_t len;
};

struct side {
    struct flow__engine *engine;
    bool server;
    bool over;
    bool dead;
    bool is_tainted; /* received what its peer did not send, or not all of it */
    enum flow__level level; /* of its last message */
    /* Messages to the other side. */
    struct message queue[MESSAGES_MAX];
    size_t first;
    size_t count;
    struct secret secret[SECRETS_MAX];
    size_t secrets;
};

struct game {
    const uint8_t *data;
    size_t len;
    struct side side[2]; /* client, server */
    bool disturbed;
};

static struct flow_tls_config *configs[2][2][2]; /* server, version, groups */

static struct flow_tls_config *
make_config(bool server, enum flow_tls_version version, bool retry)
{
    static const char *const alpn[] = { "h2", "http/1.1" };
    const uint16_t groups[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P256 };
    struct flow_tls_config *c;

    FUZZ_CHECK((server
                    ? flow_tls_config_new_server(NULL, &c, NULL)
                    : flow_tls_config_new_client(NULL, &c, NULL)) == FLOW_OK);
    FUZZ_CHECK((server ? flow_tls_config_add_keypair_file(
                             c, TEST_PKI "/p256.pem", TEST_PKI "/p256.key",
                             NULL, NULL, NULL)
                       : flow_tls_config_add_trust_file(c, TEST_PKI "/ca.pem",
                                                        NULL)) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_set_versions(c, FLOW_TLS_1_2, version) ==
               FLOW_OK);
    /* The server has only the client's second group: HelloRetryRequest. */
    FUZZ_CHECK(flow_tls_config_set_groups(c, groups + (server && retry),
                                          server && retry ? 1 : 2) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_set_alpn(c, alpn, 2) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_freeze(c, NULL) == FLOW_OK);
    return c;
}

static struct flow_tls_config *
get_config(bool server, bool tls13, bool retry)
{
    struct flow_tls_config **c = &configs[server][tls13][retry];

    if (*c == NULL)
        *c = make_config(server, tls13 ? FLOW_TLS_1_3 : FLOW_TLS_1_2, retry);
    return *c;
}

static void
push(struct side *s, const uint8_t *bytes, size_t len, enum flow__level level,
     bool is_copy)
{
    struct message *m = &s->queue[s->first + s->count];

    FUZZ_CHECK(s->first + s->count < MESSAGES_MAX);
    m->bytes = malloc(len);
    FUZZ_CHECK(m->bytes != NULL);
    memcpy(m->bytes, bytes, len);
    m->len = len;
    m->level = level;
    m->is_copy = is_copy;
    m->is_tainted = s->is_tainted;
    s->count++;
}

static void
note_secret(struct side *s, const struct flow__engine_event *ev)
{
    struct secret *new = &s->secret[s->secrets];

    FUZZ_CHECK(s->secrets < SECRETS_MAX);
    FUZZ_CHECK(ev->suite != NULL && ev->level != FLOW__LEVEL_PLAIN);
    FUZZ_CHECK(ev->len == 32 || ev->len == 48);
    for (size_t i = 0; i < s->secrets; i++)
        FUZZ_CHECK(s->secret[i].level != ev->level ||
                   s->secret[i].is_write != ev->is_write);
    for (int i = 0; i < 2; i++)
        FUZZ_CHECK((ev->keys[i] != NULL) ==
                   (i == ev->is_write || ev->suite->version == 0x0303));
    new->level = ev->level;
    new->is_write = ev->is_write;
    new->len = ev->len;
    memcpy(new->bytes, ev->bytes, ev->len);
    s->secrets++;
}

static void
take_events(struct side *s)
{
    struct flow__engine_event ev;

    while (flow__engine_next(s->engine, &ev) == FLOW_OK) {
        if (ev.kind == FLOW__ENGINE_SECRET) {
            note_secret(s, &ev);
            continue;
        }
        FUZZ_CHECK(ev.len >= 4 && ev.level >= s->level);
        FUZZ_CHECK(ev.len - 4 == ((size_t)ev.bytes[1] << 16 |
                                  (size_t)ev.bytes[2] << 8 | ev.bytes[3]));
        s->level = ev.level;
        push(s, ev.bytes, ev.len, ev.level, false);
    }
}

static void
feed(struct side *s, const struct message *m)
{
    struct flow_error err;
    struct flow__engine_event ev;
    enum flow_status st;

    if (s->dead || s->over)
        return;
    flow_error_clear(&err);
    st = flow__engine_feed(s->engine, m->level, m->bytes, m->len, &err);
    if (st == FLOW_OK || st == FLOW_AGAIN) {
        FUZZ_CHECK(st != FLOW_OK || (!s->is_tainted && !m->is_tainted));
        s->over = st == FLOW_OK;
        take_events(s);
        return;
    }
    FUZZ_CHECK(st < 0 && err.status == st);
    FUZZ_CHECK(err.text != NULL && err.text[0] != '\0');
    FUZZ_CHECK(flow__engine_next(s->engine, &ev) == FLOW_AGAIN);
    s->dead = true;
}

static uint8_t
next_byte(struct game *g)
{
    if (g->len == 0)
        return 0;
    g->len--;
    return *g->data++;
}

static void
fix_length(struct message *m)
{
    m->bytes[1] = (uint8_t)((m->len - 4) >> 16);
    m->bytes[2] = (uint8_t)((m->len - 4) >> 8);
    m->bytes[3] = (uint8_t)(m->len - 4);
}

/* Change the message; false if it is not delivered. */
static bool
disturb(struct game *g, struct side *from, struct message *m)
{
    uint8_t how = next_byte(g);
    size_t at;

    if (how % 8 == 0)
        return true;
    g->disturbed = true;
    at = (size_t)(next_byte(g) << 8 | next_byte(g)) % m->len;
    switch (how % 8) {
    case 1:
        m->bytes[at] ^= (uint8_t)(1u << (how >> 5));
        fix_length(m);
        return true;
    case 2:
        m->len = at < 4 ? 4 : at;
        fix_length(m);
        return true;
    case 3:
        return false;
    case 4:
        push(from, m->bytes, m->len, m->level, true);
        return true;
    case 5:
        m->level = (enum flow__level)((m->level + 1 + (how >> 7)) % 3);
        return true;
    case 6:
        from->is_tainted = true;
        feed(from, m);
        return false;
    default:
        for (; at < m->len && g->len > 0; at++)
            m->bytes[at] = next_byte(g);
        fix_length(m);
        return true;
    }
}

/* Deliver the next message of a side; false if there is none. */
static bool
deliver(struct game *g, size_t from)
{
    struct side *s = &g->side[from];
    struct side *to = &g->side[1 - from];
    struct message m, was;
    bool arrives;

    if (s->count == 0)
        return false;
    m = s->queue[s->first++];
    s->count--;
    was = m;
    was.bytes = malloc(m.len);
    FUZZ_CHECK(was.bytes != NULL);
    memcpy(was.bytes, m.bytes, m.len);
    arrives = disturb(g, s, &m);
    if (arrives ? was.is_copy || was.is_tainted || m.len != was.len ||
                      memcmp(m.bytes, was.bytes, m.len) != 0
                : !was.is_copy)
        to->is_tainted = true;
    if (arrives)
        feed(to, &m);
    free(was.bytes);
    free(m.bytes);
    return true;
}

/* The write keys of each side are the read keys of the other. */
static void
compare_secrets(const struct side *a, const struct side *b, bool tls13)
{
    FUZZ_CHECK(a->secrets == (tls13 ? 4 : 1) && b->secrets == a->secrets);
    for (size_t i = 0; i < a->secrets; i++) {
        size_t k = 0;

        while (k < b->secrets &&
               (b->secret[k].level != a->secret[i].level ||
                (tls13 && b->secret[k].is_write == a->secret[i].is_write)))
            k++;
        FUZZ_CHECK(k < b->secrets);
        FUZZ_CHECK(a->secret[i].len == b->secret[k].len);
        FUZZ_CHECK(memcmp(a->secret[i].bytes, b->secret[k].bytes,
                          a->secret[i].len) == 0);
    }
}

static void
start(struct game *g, bool tls13, bool retry)
{
    struct flow_tls_config *client = get_config(false, tls13, retry);
    struct flow_tls_config *server = get_config(true, tls13, retry);
    struct flow_error err;

    g->side[1].server = true;
    FUZZ_CHECK(flow__engine_new(client->engine, NULL, 0, "server.example", NULL,
                                &g->side[0].engine) == FLOW_OK);
    FUZZ_CHECK(flow__engine_new(server->engine,
                                flow__sni_pair(server->sni, 0, 0),
                                tls13 ? 0x0304 : 0x0303, NULL, NULL,
                                &g->side[1].engine) == FLOW_OK);
    FUZZ_CHECK(flow__engine_start(g->side[0].engine, &err) == FLOW_AGAIN);
    take_events(&g->side[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct game *g = calloc(1, sizeof(*g));
    bool tls13, retry;
    int delivered = 0;

    FUZZ_CHECK(g != NULL);
    g->data = data;
    g->len = len;
    tls13 = (next_byte(g) & 1) == 0;
    retry = len > 0 && (data[0] & 2) != 0;
    start(g, tls13, retry);
    while (delivered++ < DELIVERED_MAX && (deliver(g, 0) || deliver(g, 1)))
        continue;
    if (!g->disturbed) {
        FUZZ_CHECK(g->side[0].over && g->side[1].over);
        compare_secrets(&g->side[0], &g->side[1], tls13);
        FUZZ_CHECK(strcmp(flow__engine_alpn(g->side[0].engine), "h2") == 0);
    }
    for (size_t i = 0; i < 2; i++) {
        struct side *s = &g->side[i];

        for (; s->count > 0; s->count--)
            free(s->queue[s->first++].bytes);
        flow__engine_free(s->engine);
    }
    free(g);
    return 0;
}
