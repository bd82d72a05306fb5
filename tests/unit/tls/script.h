/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_TLS_SCRIPT_H
#define TEST_UNIT_TLS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/engine.h"
#include "tls/order_kinds.h"

/*
 * An engine that reads its events from a list: the part of a TLS library that
 * tls/ needs, without a TLS library.  Its keys come from a hash that protects
 * nothing.  Both ends derive the same ones, so a record that opens was sealed
 * with the right key.
 */

#define SCRIPT_CALLS  9
#define SCRIPT_EVENTS 16

struct script_event {
    bool is_secret;
    enum flow__level level;
    bool is_write;
    uint8_t bytes[320];
    size_t len;
    size_t certificate; /* its size, or 0: no Certificate message */
};

/* The result of one call of flow__engine_start() or flow__engine_feed(). */
struct script_call {
    enum flow_status status;
    int alert; /* if the call failed */
    struct script_event event[SCRIPT_EVENTS];
    unsigned events;
    uint8_t fed; /* type of the message that was passed in, for the test */
    enum flow__level fed_level;
};

struct script {
    struct script_call call[SCRIPT_CALLS];
    unsigned calls; /* calls in the list */
    unsigned made;  /* calls so far */
    uint16_t suite;
};

extern struct script script_client;
extern struct script script_server;

/* What the engine can do; true at first. */
extern bool script_can_connect;
extern bool script_has_tls12;
extern bool script_can_resume;

/* What the server sends. */
extern const uint8_t script_certificate[142];

/* The count-th record sealed from now on fails; 0: none.  The test fails if two
 * records are sealed under one key with one nonce. */
void script_fail_seal(unsigned count, enum flow_status status);
/* Whether the failing record was reached. */
bool script_seal_failed(void);
/* No record was sealed yet, and none fails. */
void script_forget_seals(void);

/* A handshake. */
struct script_shape {
    uint16_t version;
    bool retries;  /* TLS 1.3: the server asks for another group */
    bool asks;     /* the server asks for a certificate */
    bool presents; /* and the client has one */
    bool resumes;
    bool promises; /* TLS 1.2: the server gives a ticket */
};

/* The list of a whole handshake for both ends; resets the count of sealed
 * records. */
void script_write_shape(const struct script_shape *shape);
/* One with a certificate of the server. */
void script_write(uint16_t version);

/* The session id of every ClientHello. */
#define SCRIPT_SESSION_ID_LEN 32
extern const uint8_t script_session_id[SCRIPT_SESSION_ID_LEN];

/* A message of any kind but change_cipher_spec, well formed, at the level at
 * which this handshake has it.  retried: after a HelloRetryRequest. */
void script_make(enum flow__kind kind, const struct script_shape *shape,
                 bool retried, struct script_event *ret);

/* Remove the n-th event of a call, or insert one before it. */
void script_cut(struct script_call *call, unsigned n);
struct script_event *script_insert(struct script_call *call, unsigned n);

#endif
