/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_LINK_H
#define TEST_INTEROP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/tls.h>

#include "ossl.h"
#include "tap.h"

/* A TLS flow of ours on one end of a pair, OpenSSL on the other. */
struct link {
    struct flow *ours;  /* TLS. */
    struct flow *other; /* The end that OpenSSL is on. */
    struct tap *tap;    /* Under ours. */
    struct wire wire;   /* What we sent. */
    struct ossl peer;
    struct flow_tls_config *config;
    bool we_serve;
};

/* Ours and OpenSSL's settings can be changed until link_start(). */
void link_init(struct link *l, bool we_serve, uint32_t version);
/* A pair for the side that serves. */
void link_key(struct link *l, const char *chain, const char *key);
void link_start(struct link *l);
/* Until neither moves; what our opening answered. */
enum flow_status link_handshake(struct link *l);
/* link_start() and a handshake that must succeed. */
void link_open(struct link *l);
/* All of it, with the usual key. */
void link_make(struct link *l, bool we_serve, uint32_t version);
void link_close(struct link *l);

/* Bytes of test_fill(seed) from ours to OpenSSL, and the other way. */
void link_say(struct link *l, size_t len, uint64_t seed);
void link_hear(struct link *l, size_t len, uint64_t seed);
/* Both, in many sizes. */
void link_talk(struct link *l);
/* Read ours to its end. */
enum flow_status link_end(struct link *l, size_t *ret_len);

#endif
