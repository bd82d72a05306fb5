/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_ENGINE_H
#define TEST_SUPPORT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ssl.h>

#include "ossl.h"

/*
 * mbedTLS alone, over two buffers in memory, with OpenSSL as its peer.  Shows
 * the facts about mbedTLS that the TLS layer depends on.
 */

#define ENGINE_SECRETS 7 /* Index: mbedtls_ssl_key_export_type. */
#define ENGINE_RECORDS 64

struct flow;

struct engine {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    bool server;

    uint8_t out[1 << 17]; /* Bytes that the engine sent. */
    size_t out_len;
    size_t out_given; /* Of these, bytes that the peer has received. */
    size_t sends;     /* Calls of the send callback. */
    size_t send_at[ENGINE_RECORDS];
    size_t send_len[ENGINE_RECORDS];

    uint8_t in[1 << 17]; /* Bytes that the engine may read. */
    size_t in_len;
    size_t in_off;

    unsigned exports[ENGINE_SECRETS];    /* How often it was exported. */
    size_t sends_before[ENGINE_SECRETS]; /* Records sent by then. */
    int suite_seen[ENGINE_SECRETS];      /* Suite reported then. */
    uint8_t secret[ENGINE_SECRETS][64];
    size_t secret_len[ENGINE_SECRETS];
    uint8_t client_random[32];
    uint8_t server_random[32];
    mbedtls_tls_prf_types prf;
};

/* Suites are restricted to AES-128-GCM with SHA-256. */
void engine_init(struct engine *e, bool server,
                 mbedtls_ssl_protocol_version version);
void engine_start(struct engine *e);
void engine_free(struct engine *e);

/* Send through this callback from now on; NULL: the default. */
void engine_block(struct engine *e, mbedtls_ssl_send_t *send);

/* Append bytes for the engine to read. */
void engine_feed(struct engine *e, const void *data, size_t len);
/* Pass the engine's output to the peer, and the peer's to the engine. */
void engine_to_peer(struct engine *e, struct ossl *o);
void engine_from_peer(struct engine *e, struct ossl *o);
/* Handshake until neither side makes progress; the last return value of the
 * engine. */
int engine_handshake(struct engine *e, struct ossl *o);

/* The same over a flow whose other end the caller drives; whether anything
 * moved. */
bool engine_exchange(struct engine *e, struct flow *wire);

/* A key of one direction, derived by OpenSSL from the exported secrets. */
struct record_key {
    uint8_t key[16];
    uint8_t iv[12]; /* TLS 1.2: the first 4 bytes. */
    bool tls12;
};

/* From a traffic secret of TLS 1.3. */
void record_key13(struct record_key *k, const uint8_t *secret);
/* From the master secret of TLS 1.2. */
void record_key12(struct record_key *k, const struct engine *e, bool of_client);

/*
 * Open a whole record; the length of the plaintext, or -1.  TLS 1.3: the inner
 * type is stored in *ret_type.
 */
int record_open(const struct record_key *k, uint64_t number,
                const uint8_t *record, size_t len, uint8_t *ret_plain,
                uint8_t *ret_type);
/* Seal a record; returns its length. */
size_t record_seal(const struct record_key *k, uint64_t number, uint8_t type,
                   const void *plain, size_t len, uint8_t *ret_record);

#endif
