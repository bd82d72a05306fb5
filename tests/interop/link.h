/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_LINK_H
#define TEST_INTEROP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/tls.h>

#include "ossl.h"
#include "tap.h"

/* A TLS flow of ours on one end of a pair, and OpenSSL on the other. */
struct link {
    struct flow *ours;  /* the TLS flow */
    struct flow *other; /* the end of the pair that OpenSSL uses */
    struct tap *tap;    /* the tap below our TLS flow */
    struct wire wire;   /* the bytes that we sent */
    struct ossl peer;
    struct flow_tls_config *config;
    bool we_serve;
};

/* The settings of ours and of OpenSSL may be changed until link_start(). */
void link_init(struct link *l, bool we_serve, uint32_t version);
/* The key pair of the serving side. */
void link_key(struct link *l, const char *chain, const char *key);
void link_start(struct link *l);
/* Drive both sides until neither makes progress; the status of our opening. */
enum flow_status link_handshake(struct link *l);
/* link_start() and a handshake that must succeed. */
void link_open(struct link *l);
/* All of these, with the default key. */
void link_make(struct link *l, bool we_serve, uint32_t version);
void link_close(struct link *l);

/* Send bytes of test_fill(seed) from our side to OpenSSL, and from OpenSSL to
 * our side. */
void link_say(struct link *l, size_t len, uint64_t seed);
void link_hear(struct link *l, size_t len, uint64_t seed);
/* Both directions, in many sizes. */
void link_talk(struct link *l);
/* Read our flow to its end. */
enum flow_status link_end(struct link *l, size_t *ret_len);

#endif
