/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_LIE_H
#define TEST_WIRE_LIE_H

#include "evil.h"

/*
 * Handshake messages that lie: each is made from an honest one of OpenSSL, by
 * somebody who knows the keys.  Expected is the alert that the RFC names, once,
 * under the key with which the peer reads.
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

/* One lie: what is sent, and what must come of it. */
struct lie {
    const char *name;
    bool we_serve;
    int version;
    void (*edit)(struct evil *e, struct evil_record *r);
    int alert;
    enum evil_epoch epoch;       /* of our alert */
    void (*set)(struct evil *e); /* how it is configured, may be NULL */
};

/* Tell it; what is wrong about the answer is counted in evil_wrong. */
void lie_tell(const struct lie *l);

/* All of an array, which then was refused as it should be. */
#define LIES(l)                                                                \
    evil_wrong = 0;                                                            \
    for (size_t i_ = 0; i_ < sizeof(l) / sizeof((l)[0]); i_++)                 \
        lie_tell(&(l)[i_]);                                                    \
    assert_int_equal(evil_wrong, 0)

/* Configurations. */
void with_p256(struct evil *e);          /* no other group */
void with_hrr(struct evil *e);           /* the first share does not fit */
void with_both_versions(struct evil *e); /* ours allows both */

/* Messages, in a record of their own as OpenSSL sends them. */

bool is_message(const struct evil_record *r, uint8_t type);
/* Add to a length field of two bytes. */
void add(uint8_t *p, int n);
/* Grow by n bytes what stands at off, or take -n out; the message's length is
 * that of what it becomes. */
void resize(struct evil_record *r, size_t off, int n);
/* Where an extension of a hello begins (its type), 0 when it is absent. */
size_t extension(const struct evil_record *r, uint16_t wanted);
/* The length field of a hello's extensions. */
uint8_t *extensions_len(struct evil_record *r);
void put_extension(struct evil_record *r, uint16_t type, const void *data,
                   size_t len);
void remove_extension(struct evil_record *r, uint16_t type);
/* Insert at the front of the list of an extension, whose length has so many
 * bytes. */
void into_list(struct evil_record *r, uint16_t type, size_t len_size,
               const void *data, size_t len);
/* Sign the parameters of a ServerKeyExchange again, with ECDSA, as a server
 * that means what it sends. */
void sign_exchange(struct evil *e, struct evil_record *r);

#endif
