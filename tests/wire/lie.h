/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_LIE_H
#define TEST_WIRE_LIE_H

#include "evil.h"

/*
 * Handshake messages with false content: each is made from one of OpenSSL's, by
 * a peer that knows the keys.  The expected result is the alert of the RFC,
 * once, under the key with which the peer reads.
 */

#define CLIENT_HELLO         1
#define SERVER_HELLO         2
#define NEW_SESSION_TICKET   4
#define ENCRYPTED_EXTENSIONS 8
#define CERTIFICATE          11
#define SERVER_KEY_EXCHANGE  12
#define CERTIFICATE_VERIFY   15
#define CLIENT_KEY_EXCHANGE  16
#define FINISHED             20
#define KEY_UPDATE           24

#define PLAIN     EVIL_PLAIN
#define HANDSHAKE EVIL_HANDSHAKE
#define DATA      EVIL_DATA

/* One false message: what is sent, and the expected result. */
struct lie {
    const char *name;
    bool we_serve;
    int version;
    void (*edit)(struct evil *e, struct evil_record *r);
    int alert;
    enum evil_epoch epoch;       /* the key that protects our alert */
    void (*set)(struct evil *e); /* sets the configuration, may be NULL */
};

/* Send it; unexpected results are counted in evil_wrong. */
void lie_tell(const struct lie *l, enum flow_status status);

/* Send all of an array; each must be refused as its row says, as a violation of
 * the protocol, or of trust. */
#define LIES(l)          LIES_REFUSED(l, FLOW_E_PROTO)
#define LIES_OF_TRUST(l) LIES_REFUSED(l, FLOW_E_AUTH)
#define LIES_REFUSED(l, status)                                                \
    evil_wrong = 0;                                                            \
    for (size_t i_ = 0; i_ < sizeof(l) / sizeof((l)[0]); i_++)                 \
        lie_tell(&(l)[i_], status);                                            \
    assert_int_equal(evil_wrong, 0)

/* Configurations. */
void with_p256(struct evil *e); /* no other group */
void with_hrr(struct evil *e);  /* the first key share does not match */
void with_both_versions(struct evil *e); /* ours allows both */

/* Messages, one per record as OpenSSL sends them. */

bool is_message(const struct evil_record *r, uint8_t type);
/* Add to a length field of two bytes. */
void add(uint8_t *p, int n);
/* Insert n bytes at offset off, or remove -n; the message's length is
 * corrected. */
void resize(struct evil_record *r, size_t off, int n);
/* Offset of an extension of a hello, at its type; 0 if it is absent. */
size_t extension(const struct evil_record *r, uint16_t wanted);
/* Offset of the length of a hello's extensions. */
uint8_t *extensions_len(struct evil_record *r);
void put_extension(struct evil_record *r, uint16_t type, const void *data,
                   size_t len);
void remove_extension(struct evil_record *r, uint16_t type);
/* Insert at the front of the list of an extension, whose length field has this
 * many bytes. */
void into_list(struct evil_record *r, uint16_t type, size_t len_size,
               const void *data, size_t len);
/* Sign the parameters of a ServerKeyExchange again with ECDSA, so that the
 * signature is valid. */
void sign_exchange(struct evil *e, struct evil_record *r);

#endif
