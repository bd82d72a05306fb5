/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/ticket.h"

#include <string.h>

#include <mbedtls/platform.h>
#include <mbedtls/platform_time.h>

#include <flow/env.h>

#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/sealing.h"
#include "tls/mbedtls/step.h"

/*
 * What mbedTLS calls for the tickets of a server.  A ticket is
 *
 *     the name of its key | sealed(begun 8, end 8, length 2, the client's chain
 *       | the session, as mbedTLS saves it)
 *
 * and opens only in the scope in which it was sealed.  begun and end are
 * seconds since 1970.
 *
 * Invariant: whatever is wrong with a ticket, it is ignored, and the handshake
 * is a full one.
 *
 * Locks: called by mbedTLS, so inside flow__mbed_enter(); the lock of the keys
 * is taken inside it.
 */

#ifdef MBEDTLS_PLATFORM_MS_TIME_ALT

/* mbedTLS calls this for the age of a ticket, in our build.  It tolerates 6 s
 * of difference between the two sides, so whole seconds will do. */
mbedtls_ms_time_t
mbedtls_ms_time(void)
{
    const struct flow_env *env = flow_env_default();

    return (mbedtls_ms_time_t)env->wall(env->ctx) * 1000;
}

#endif

#if defined(MBEDTLS_SSL_SESSION_TICKETS)

/* begun, end, and the length of the client's chain. */
#define TICKET_HEAD 18u
/* What a session of mbedTLS may have.  In TLS 1.2 it includes the client's
 * certificate.  A longer one makes no ticket. */
#define TICKET_SESSION_MAX (FLOW__TICKET_CHAIN_MAX + 1024u)
#define TICKET_TEXT_MAX                                                        \
    (TICKET_HEAD + FLOW__TICKET_CHAIN_MAX + TICKET_SESSION_MAX)
#define TICKET_OVERHEAD ((size_t)FLOW__TICKET_NAME + FLOW__SEAL_OVERHEAD)

/* What is sealed, taken apart. */
struct ticket_text {
    int64_t begun;
    int64_t ends;
    struct flow__span chain;
    struct flow__span session;
};

static void
ticket_put_time(uint8_t *p, int64_t time)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)((uint64_t)time >> (56 - 8 * i));
}

static int64_t
ticket_get_time(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

static bool
ticket_seal(struct flow__ticket_use *use, struct flow__span text, uint8_t *out)
{
    struct flow__ticket_key named;
    struct flow__seal_key key = { named.secret, use->scope };
    bool is_sealed = flow__tickets_present_key(use->tickets, &named);

    if (is_sealed) {
        memcpy(out, named.name, FLOW__TICKET_NAME);
        is_sealed =
            flow__sealing_seal(&key, text, out + FLOW__TICKET_NAME) == FLOW_OK;
    }
    flow_wipe(&named, sizeof(named));
    return is_sealed;
}

/* The text of a ticket, *ret_len bytes. */
static int
ticket_fill(const struct flow__ticket_use *use, int64_t ends,
            const mbedtls_ssl_session *session, uint8_t *text, size_t *ret_len)
{
    const size_t front = TICKET_HEAD + use->chain.len;
    size_t len;
    int rc;

    if (use->chain.len > FLOW__TICKET_CHAIN_MAX || ends <= use->now)
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    ticket_put_time(text, use->begun);
    ticket_put_time(text + 8, ends);
    text[16] = (uint8_t)(use->chain.len >> 8);
    text[17] = (uint8_t)use->chain.len;
    if (use->chain.len > 0)
        memcpy(text + TICKET_HEAD, use->chain.base, use->chain.len);
    rc = mbedtls_ssl_session_save(session, text + front,
                                  TICKET_TEXT_MAX - front, &len);
    *ret_len = rc == 0 ? front + len : 0;
    return rc;
}

static void
ticket_free_text(uint8_t *text)
{
    if (text != NULL)
        flow_wipe(text, TICKET_TEXT_MAX);
    mbedtls_free(text);
}

static int
ticket_write(void *ctx, const mbedtls_ssl_session *session,
             unsigned char *start, const unsigned char *end, size_t *ret_len,
             uint32_t *ret_lifetime)
{
    struct flow__ticket_use *use = ctx;
    int64_t ends = flow__tickets_end(use->tickets, use->now, use->begun);
    uint8_t *text = mbedtls_calloc(1, TICKET_TEXT_MAX);
    size_t len = 0;
    int rc = text != NULL ? ticket_fill(use, ends, session, text, &len)
                          : MBEDTLS_ERR_SSL_ALLOC_FAILED;

    *ret_len = 0;
    if (rc == 0 && (size_t)(end - start) < TICKET_OVERHEAD + len)
        rc = MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    if (rc == 0) {
        const struct flow__span whole = { text, len };

        if (!ticket_seal(use, whole, start))
            rc = MBEDTLS_ERR_SSL_INTERNAL_ERROR;
        *ret_len = rc == 0 ? TICKET_OVERHEAD + len : 0;
        *ret_lifetime = (uint32_t)(ends - use->now);
    }
    ticket_free_text(text);
    return rc;
}

static bool
ticket_open(const struct flow__ticket_use *use, struct flow__span ticket,
            uint8_t *text)
{
    struct flow__ticket_key named;
    struct flow__seal_key key = { named.secret, use->scope };
    bool is_open = false;

    if (ticket.len < TICKET_OVERHEAD ||
        ticket.len - TICKET_OVERHEAD > TICKET_TEXT_MAX)
        return false;
    if (flow__tickets_find_key(use->tickets, ticket.base, &named)) {
        const struct flow__span sealed = { ticket.base + FLOW__TICKET_NAME,
                                           ticket.len - FLOW__TICKET_NAME };

        is_open = flow__sealing_open(&key, sealed, text);
    }
    flow_wipe(&named, sizeof(named));
    return is_open;
}

/* Open a ticket that has not ended, and take it apart. */
static bool
ticket_read(const struct flow__ticket_use *use, struct flow__span ticket,
            uint8_t *text, struct ticket_text *ret)
{
    struct flow__span rest;

    if (text == NULL || !ticket_open(use, ticket, text))
        return false;
    rest.base = text;
    rest.len = ticket.len - TICKET_OVERHEAD;
    if (rest.len < TICKET_HEAD)
        return false;
    ret->begun = ticket_get_time(text);
    ret->ends = ticket_get_time(text + 8);
    rest.base += 16;
    rest.len -= 16;
    if (!flow__span_take_vec16(&rest, &ret->chain))
        return false;
    ret->session = rest;
    /* A clock that was put back opens no ticket of the future. */
    return use->now < ret->ends && use->now >= ret->begun;
}

static const uint8_t *
ticket_salt(struct flow__span ticket)
{
    return ticket.base + FLOW__TICKET_NAME;
}

static bool
ticket_has_suite(const struct flow__ticket_use *use, int suite)
{
    for (size_t i = 0; i < use->suite_count; i++)
        if (use->suites[i] == suite)
            return true;
    return false;
}

static int
ticket_take(struct flow__ticket_use *use, mbedtls_ssl_session *session,
            const struct ticket_text *text)
{
    int rc = mbedtls_ssl_session_load(session, text->session.base,
                                      text->session.len);

    if (rc != 0)
        return rc;
    /* mbedTLS would end the handshake. */
    if (!ticket_has_suite(use, mbedtls_ssl_session_get_ciphersuite_id(session)))
        return MBEDTLS_ERR_SSL_INVALID_MAC;
    use->begun = text->begun;
    return 0;
}

static int
ticket_parse(void *ctx, mbedtls_ssl_session *session, unsigned char *buf,
             size_t len)
{
    struct flow__ticket_use *use = ctx;
    const struct flow__span ticket = { buf, len };
    uint8_t *plain = mbedtls_calloc(1, TICKET_TEXT_MAX);
    struct ticket_text text;
    int rc = MBEDTLS_ERR_SSL_INVALID_MAC;

    if (ticket_read(use, ticket, plain, &text) &&
        (!use->asks_client ||
         (use->has_accepted && memcmp(use->accepted, ticket_salt(ticket),
                                      sizeof(use->accepted)) == 0)))
        rc = ticket_take(use, session, &text);
    ticket_free_text(plain);
    return rc;
}

/* See tls/tickets.h. */
bool
flow__engine_read_ticket(const struct flow__ticket_use *use,
                         struct flow__span ticket, uint8_t *buf,
                         struct flow__span *ret_chain,
                         uint8_t ret_salt[FLOW__SEAL_SALT])
{
    struct flow__mbed_step step;
    struct ticket_text text;
    uint8_t *plain;
    bool is_open;

    flow__mbed_begin_step(&step, NULL);
    plain = mbedtls_calloc(1, TICKET_TEXT_MAX);
    is_open = ticket_read(use, ticket, plain, &text) &&
              text.chain.len <= FLOW__TICKET_CHAIN_MAX;
    if (is_open) {
        memcpy(buf, text.chain.base, text.chain.len);
        ret_chain->base = buf;
        ret_chain->len = text.chain.len;
        memcpy(ret_salt, ticket_salt(ticket), FLOW__SEAL_SALT);
    }
    ticket_free_text(plain);
    (void)flow__mbed_end_step(&step, 0);
    return is_open;
}

/* See tls/mbedtls/ticket.h. */
void
flow__ticket_conf(mbedtls_ssl_config *ssl, struct flow__ticket_use *use)
{
    uint32_t seconds;
    unsigned count;

    flow__tickets_limits(use->tickets, &seconds, &count);
    mbedtls_ssl_conf_session_tickets_cb(ssl, ticket_write, ticket_parse, use);
    mbedtls_ssl_conf_new_session_tickets(ssl, (uint16_t)count);
    mbedtls_ssl_conf_tls13_key_exchange_modes(
        ssl, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL |
                 MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
}

#else

/* See tls/tickets.h. */
bool
flow__engine_read_ticket(const struct flow__ticket_use *use,
                         struct flow__span ticket, uint8_t *buf,
                         struct flow__span *ret_chain,
                         uint8_t ret_salt[FLOW__SEAL_SALT])
{
    (void)use;
    (void)ticket;
    (void)buf;
    (void)ret_chain;
    (void)ret_salt;
    return false;
}

/* See tls/mbedtls/ticket.h. */
void
flow__ticket_conf(mbedtls_ssl_config *ssl, struct flow__ticket_use *use)
{
    (void)ssl;
    (void)use;
}

#endif
