/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_EVIL_H
#define TEST_WIRE_EVIL_H

#include <flow/tls.h>

#include "cipher.h"
#include "loop.h"
#include "ossl.h"

/*
 * OpenSSL as the peer, with somebody in between who knows all its secrets:
 * every record that it sends is opened, shown to the test, which may change,
 * drop or add some, and sealed again.  What we send is read with OpenSSL's
 * keys, not with ours.
 *
 *     evil_init(&e, false, 0x0304);
 *     e.edit = flip_signature;
 *     evil_start(&e);
 *     evil_run(&e);
 *     evil_refused(&e, FLOW_E_PROTO, 51, EVIL_HANDSHAKE);
 *     evil_free(&e);
 */

/* What protects a record; in TLS 1.2 there are only the first and the last. */
enum evil_epoch { EVIL_PLAIN, EVIL_HANDSHAKE, EVIL_DATA };

/* A record on its way from OpenSSL to us. */
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
    enum flow_status status; /* what opening ours answered last */

    /* Called for each record of OpenSSL; NULL: all pass. */
    void (*edit)(struct evil *e, struct evil_record *r);
    int step;      /* the test's own */
    unsigned seed; /* the test's own */

    uint8_t secret[2][2][CIPHER_SECRET]; /* [epoch - 1][server] */
    bool has_secret[2][2];
    uint8_t master[48];
    bool has_master;
    struct cipher open[3]; /* OpenSSL's records, by epoch */
    struct cipher seal[3]; /* the same, for us */
    bool changed;          /* OpenSSL sent change_cipher_spec */
    size_t given;          /* bytes of ours that OpenSSL got */
    uint8_t partial[CIPHER_MAX];
    size_t partial_len;
};

/* AES-128-GCM with SHA-256 and P-256 certificates; version 0x0303 or 0x0304.
 * The configurations may be changed until evil_start(). */
void evil_init(struct evil *e, bool we_serve, int version);
void evil_start(struct evil *e);
void evil_free(struct evil *e);

/* Until neither side moves. */
void evil_run(struct evil *e);
/* evil_init() to an established connection. */
void evil_open(struct evil *e, bool we_serve, int version);

/* Give us bytes as they are. */
void evil_raw(struct evil *e, const void *data, size_t len);
/* Give us a record in the clear. */
void evil_plain(struct evil *e, uint8_t type, const void *content, size_t len);
/* Give us a record sealed as the peer of this epoch would. */
void evil_sealed(struct evil *e, enum evil_epoch epoch, uint8_t type,
                 const void *content, size_t len);
/* Give us this one now, rather than when edit returns. */
void evil_pass(struct evil *e, struct evil_record *r);

/* What reading ours answers. */
enum flow_status evil_read(struct evil *e, void *buf, size_t len,
                           size_t *ret_len);

/* An alert of ours, as it stood on the wire. */
struct evil_alert {
    int fatal;  /* fatal alerts in all; a peer must see one at most */
    int number; /* of the last alert, -1: none */
    enum evil_epoch epoch;
    bool last;         /* nothing follows it */
    unsigned unknown;  /* records that open under no key */
    unsigned warnings; /* TLS 1.2 warnings but close_notify */
    unsigned closes;   /* close_notify */
    unsigned updates;  /* KeyUpdate */
};

void evil_alerts(struct evil *e, struct evil_alert *ret);

/* Checks of evil_check() that failed; a test of many cases goes on and looks
 * at the end. */
extern unsigned evil_wrong;

/*
 * Our opening failed with this status and alert (-1: none), which stands once
 * on the wire, last, under this key; asking again changes nothing, and the
 * flow below was left open.
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

/* The text of our error, for messages and comparisons; static. */
const char *evil_text(struct evil *e);

#endif
