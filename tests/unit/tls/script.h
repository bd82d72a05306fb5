/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_TLS_SCRIPT_H
#define TEST_UNIT_TLS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/engine.h"

/*
 * An engine that reads from a list: what tls/ needs of a TLS library, without
 * one.  Its keys come from a mixture that protects nothing; both ends have the
 * same, so that a record that opens was sealed under the right key.
 */

#define SCRIPT_CALLS  8
#define SCRIPT_EVENTS 16

struct script_event {
    bool is_secret;
    enum flow__level level;
    bool is_write;
    uint8_t bytes[320];
    size_t len;
    size_t certificate; /* 0, or bytes of one: then a Certificate of TLS 1.3 */
};

/* One call of flow__engine_start() or flow__engine_feed(). */
struct script_call {
    enum flow_status status;
    int alert; /* on failure */
    struct script_event event[SCRIPT_EVENTS];
    unsigned events;
    uint8_t fed; /* type of the message it was given, for the test */
    enum flow__level fed_level;
};

struct script {
    struct script_call call[SCRIPT_CALLS];
    unsigned calls; /* that are written down */
    unsigned made;  /* calls so far */
    uint16_t suite;
    uint32_t verify_flags;
};

extern struct script script_client;
extern struct script script_server;

/* The count-th record that is sealed from now on fails; 0: none does.  Whoever
 * seals two records under one key with one nonce fails the test. */
void script_fail_seal(unsigned count, enum flow_status status);
/* Whether that one was reached. */
bool script_seal_failed(void);

/* A whole handshake of both ends; no record was sealed yet. */
void script_write(uint16_t version);

/* Take the n-th event of a call out, or put one before it. */
void script_cut(struct script_call *call, unsigned n);
struct script_event *script_insert(struct script_call *call, unsigned n);

#endif
