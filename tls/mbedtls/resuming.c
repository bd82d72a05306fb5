/* SPDX-License-Identifier: ISC */
#include <mbedtls/ssl.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/engine_state.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/step.h"

/*
 * The sessions of a client's engine, as bytes.
 *
 * Invariant: after the handshake nothing that the engine writes is sent.
 *
 * Locks: as in engine.c.
 */

#if defined(MBEDTLS_SSL_CLI_C) && defined(MBEDTLS_SSL_SESSION_TICKETS)

/* A ticket takes few calls; more are an endless loop. */
#define RESUMING_CALLS_MAX 16

/* See tls/engine.h. */
enum flow_status
flow__engine_offer(struct flow__engine *e, struct flow__span state,
                   uint16_t *ret_suite)
{
    mbedtls_ssl_session session;
    struct flow__mbed_step step;
    int suite, rc;

    mbedtls_ssl_session_init(&session);
    flow__mbed_begin_step(&step, &e->arena);
    rc = mbedtls_ssl_session_load(&session, state.base, state.len);
    if (rc == 0)
        rc = mbedtls_ssl_set_session(&e->ssl, &session);
    suite = mbedtls_ssl_session_get_ciphersuite_id(&session);
    mbedtls_ssl_session_free(&session);
    rc = flow__mbed_end_step(&step, rc);
    if (rc == 0) {
        *ret_suite = (uint16_t)suite;
        return FLOW_OK;
    }
    return flow__mbed_no_memory(rc) ? FLOW_E_NOMEM : FLOW_E_INVAL;
}

static enum flow_status
resuming_save(struct flow__engine *e, const mbedtls_ssl_session *session,
              uint8_t **ret_state, size_t *ret_len)
{
    const struct flow_env *env = e->conf->config->env;
    size_t len = 0;

    /* It answers that there is too little room, and how much it needs. */
    (void)mbedtls_ssl_session_save(session, NULL, 0, &len);
    if (len == 0)
        return FLOW_E_SYS;
    *ret_state = flow_env_alloc(env, len);
    if (*ret_state == NULL)
        return FLOW_E_NOMEM;
    *ret_len = len;
    if (mbedtls_ssl_session_save(session, *ret_state, len, &len) == 0)
        return FLOW_OK;
    flow_env_free(env, *ret_state, *ret_len);
    return FLOW_E_SYS;
}

/* Inside mbedTLS: the session of the context as bytes. */
static enum flow_status
resuming_take_session(struct flow__engine *e, uint8_t **ret_state,
                      size_t *ret_len)
{
    mbedtls_ssl_session session;
    enum flow_status st = FLOW_E_SYS;

    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(&e->ssl, &session) == 0)
        st = resuming_save(e, &session, ret_state, ret_len);
    mbedtls_ssl_session_free(&session);
    return st;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_session(struct flow__engine *e, uint8_t **ret_state,
                     size_t *ret_len)
{
    struct flow__mbed_step step;
    enum flow_status st;

    flow__mbed_begin_step(&step, &e->arena);
    st = resuming_take_session(e, ret_state, ret_len);
    (void)flow__mbed_end_step(&step, 0);
    return st;
}

/* Have the engine read a ticket.  Its first call may only finish what came
 * before, without asking for a record. */
static int
resuming_read_ticket(struct flow__engine *e)
{
    int rc = MBEDTLS_ERR_SSL_WANT_READ;
    uint8_t none[1];

    e->messages.starved = false;
    for (int i = 0; i < RESUMING_CALLS_MAX && !e->messages.starved &&
                    rc == MBEDTLS_ERR_SSL_WANT_READ;
         i++)
        rc = mbedtls_ssl_read(&e->ssl, none, sizeof(none));
    return rc;
}

/* See tls/engine.h.  Whatever it wants to send is dropped: it is sealed with
 * keys and numbers that the connection uses. */
enum flow_status
flow__engine_ticket(struct flow__engine *e, const uint8_t *msg, size_t len,
                    uint8_t **ret_state, size_t *ret_len)
{
    struct flow__mbed_step step;
    enum flow_status st;
    int rc;

    if (len > flow__engine_message_max())
        return FLOW_AGAIN;
    flow__messages_finish(&e->messages);
    st = flow__messages_put(&e->messages, FLOW__LEVEL_DATA, msg, len);
    if (st != FLOW_OK)
        return st;
    flow__mbed_begin_step(&step, &e->arena);
    rc = resuming_read_ticket(e);
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        st = resuming_take_session(e, ret_state, ret_len);
    else
        st = rc == MBEDTLS_ERR_SSL_WANT_READ ? FLOW_AGAIN : FLOW_E_SYS;
    (void)flow__mbed_end_step(&step, 0);
    (void)flow__messages_drop(&e->messages);
    return st;
}

#else

/* See tls/engine.h. */
enum flow_status
flow__engine_offer(struct flow__engine *e, struct flow__span state,
                   uint16_t *ret_suite)
{
    (void)e;
    (void)state;
    (void)ret_suite;
    return FLOW_E_INVAL;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_session(struct flow__engine *e, uint8_t **ret_state,
                     size_t *ret_len)
{
    (void)e;
    (void)ret_state;
    (void)ret_len;
    return FLOW_E_SYS;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_ticket(struct flow__engine *e, const uint8_t *msg, size_t len,
                    uint8_t **ret_state, size_t *ret_len)
{
    (void)e;
    (void)msg;
    (void)len;
    (void)ret_state;
    (void)ret_len;
    return FLOW_AGAIN;
}

#endif
