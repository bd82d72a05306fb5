/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SESSION_PRIVATE_H
#define FLOW_TLS_SESSION_PRIVATE_H

#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "tls/engine.h"
#include "tls/queue.h"

/* A session of a client, and what its full handshake established. */

/*
 * The longest NewSessionTicket of which a session is made.  The next
 * ClientHello must have room for the ticket: the engine writes at most 16,384
 * bytes, of which protocols (ALPN) can take 4,096.  Tickets of our servers have
 * less than 10,000.
 */
#define FLOW__SESSION_MESSAGE_MAX 10240u

struct flow__session_facts {
    /* The digest of everything that must be equal to resume it. */
    uint8_t key[FLOW__PIN_LEN];
    uint16_t version;
    uint32_t verify_flags;
    /* The serial number of the verifier that accepted the chain; 0: one of
     * another process, or none. */
    uint32_t verified_by;
    /* The end of the path that this verifier built, its anchor included;
     * INT64_MAX: none built one.  Not exported: another verifies again. */
    int64_t path_end;
    int64_t begun; /* the full handshake, seconds since 1970 */
    int64_t ends;  /* not used from then on */
};

struct flow__session {
    const struct flow_env *env;
    struct flow__session *next; /* of a store */
    struct flow__session_facts facts;
    struct flow__span name;  /* of the certificate, that matched */
    struct flow__span chain; /* certificates in DER in a row, leaf first */
    struct flow__span state; /* the engine's */
    size_t size;             /* of this object */
    uint8_t bytes[];
};

/* The parts of a session; copied. */
struct flow__session_parts {
    struct flow__span name;
    struct flow__span chain;
    struct flow__span state;
};

/* NULL: no memory. */
struct flow__session *
flow__session_new(const struct flow_env *env,
                  const struct flow__session_facts *facts,
                  const struct flow__session_parts *parts);
/* Wipes; NULL does nothing. */
void flow__session_free(struct flow__session *s);

/* The time in seconds since 1970, or -1: not known, before 1970 or after 9999,
 * and no age can be told by it. */
int64_t flow__session_clock(const struct flow_env *env);

/* When the first certificate of an accepted path ends. */
int64_t flow__session_path_end(const struct flow_tls_verdict *verdict);

/* When a session ends whose ticket came now and is valid for life seconds:
 * never after 7 days, nor after a certificate that was valid when it began. */
int64_t flow__session_end(const struct flow__session_facts *facts,
                          struct flow__span chain, int64_t now, uint32_t life);

/* Append the portable form; false: no memory. */
bool flow__session_write(const struct flow__session *s, struct flow__queue *to);
/* Take one off the front.  FLOW_OK, FLOW_E_INVAL or FLOW_E_NOMEM. */
enum flow_status flow__session_read(const struct flow_env *env,
                                    struct flow__span *from,
                                    struct flow__session **ret_session);

#endif
