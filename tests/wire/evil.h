/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_EVIL_H
#define TEST_WIRE_EVIL_H

#include <flow/tls.h>

#include "cipher.h"
#include "loop.h"
#include "ossl.h"

/*
 * OpenSSL as the peer, and between it and us an attacker who has all of its
 * secrets: each record that OpenSSL sends is opened, passed to the test, which
 * may change, drop or add records, and sealed again.  The records that we send
 * are opened with OpenSSL's keys, not with ours.
 *
 *     evil_init(&e, false, 0x0304);
 *     e.edit = flip_signature;
 *     evil_start(&e);
 *     evil_run(&e);
 *     evil_refused(&e, FLOW_E_PROTO, 51, EVIL_HANDSHAKE);
 *     evil_free(&e);
 */

/* The key that protects a record; TLS 1.2 has only the first and the last. */
enum evil_epoch { EVIL_PLAIN, EVIL_HANDSHAKE, EVIL_DATA };

/* A record in transit from OpenSSL to us. */
struct evil_record {
    enum evil_epoch epoch;
    uint8_t type;
    uint8_t content[CIPHER_MAX];
    size_t len;
    size_t pad;
    bool drop;
};

struct evil {
    struct flow_tls_config *config;
    struct loop loop;
    struct flow *ours;
    struct ossl peer;
    bool we_serve;
    bool tls12;
    enum flow_status status; /* the last status of opening our flow */

    /* called for each record of OpenSSL; NULL: pass them unchanged */
    void (*edit)(struct evil *e, struct evil_record *r);
    int step;      /* for the test's use */
    unsigned seed; /* for the test's use */

    uint8_t secret[2][2][CIPHER_SECRET]; /* [epoch - 1][server] */
    bool has_secret[2][2];
    uint8_t master[48];
    bool has_master;
    struct cipher open[3]; /* for OpenSSL's records, by epoch */
    struct cipher seal[3]; /* for the records that we receive */
    bool changed;          /* OpenSSL sent change_cipher_spec */
    size_t given;          /* bytes of ours that were delivered to OpenSSL */
    uint8_t partial[CIPHER_MAX];
    size_t partial_len;
};

/* AES-128-GCM with SHA-256 and P-256 certificates; version 0x0303 or 0x0304.
 * The configurations may be changed until evil_start(). */
void evil_init(struct evil *e, bool we_serve, int version);
void evil_start(struct evil *e);
void evil_free(struct evil *e);

/* Drive both sides until neither makes progress. */
void evil_run(struct evil *e);
/* evil_init(), and everything up to an established connection. */
void evil_open(struct evil *e, bool we_serve, int version);

/* Pass these bytes to us, as they are. */
void evil_raw(struct evil *e, const void *data, size_t len);
/* Pass a plaintext record to us. */
void evil_plain(struct evil *e, uint8_t type, const void *content, size_t len);
/* Pass a record to us that is sealed as the peer of this epoch would seal
 * it. */
void evil_sealed(struct evil *e, enum evil_epoch epoch, uint8_t type,
                 const void *content, size_t len);
/* Pass this record to us now, not after edit returns. */
void evil_pass(struct evil *e, struct evil_record *r);

/* The status of reading our flow. */
enum flow_status evil_read(struct evil *e, void *buf, size_t len,
                           size_t *ret_len);

/* The alerts of ours on the wire. */
struct evil_alert {
    int fatal;  /* number of fatal alerts; a peer must get at most one */
    int number; /* description of the last alert, -1: none */
    enum evil_epoch epoch;
    bool last;         /* no record follows it */
    unsigned unknown;  /* records that no key opens */
    unsigned warnings; /* TLS 1.2 warnings other than close_notify */
    unsigned closes;   /* close_notify */
    unsigned updates;  /* KeyUpdate */
};

void evil_alerts(struct evil *e, struct evil_alert *ret);

/* Number of failed checks of evil_check(); a test of many cases continues and
 * asserts that it is 0 at the end. */
extern unsigned evil_wrong;

/*
 * Our opening failed with this status and alert (-1: none).  The alert is on
 * the wire once, as the last record, under this key; further calls change
 * nothing, and the flow below was left open.
 */
#define evil_refused(e, status, alert, epoch)                                  \
    evil_check(e, status, alert, epoch, __FILE__, __LINE__)
void evil_check(struct evil *e, enum flow_status status, int alert,
                enum evil_epoch epoch, const char *file, int line);
/* The same for a failed read. */
#define evil_read_refused(e, status, alert, epoch)                             \
    evil_check_read(e, status, alert, epoch, __FILE__, __LINE__)
void evil_check_read(struct evil *e, enum flow_status status, int alert,
                     enum evil_epoch epoch, const char *file, int line);

/* The text of our error, for messages and comparisons; in static memory. */
const char *evil_text(struct evil *e);

#endif
