/* SPDX-License-Identifier: ISC */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A TLS library as the benchmark drives it, through its public interface.  Both
 * ends of a connection are of the same library and in the same thread.  An
 * operation that cannot be done ends the program with a message.
 */

enum bench_end { BENCH_CLIENT, BENCH_SERVER };

/* What carries a connection. */
enum bench_transport {
    BENCH_MEMORY, /* whatever the library has, or lets one plug in */
    BENCH_SOCKETS /* socketpair(2) */
};

enum bench_suite {
    BENCH_AES_128_GCM,
    BENCH_AES_256_GCM,
    BENCH_CHACHA20_POLY1305,
    BENCH_AES_128_CCM /* in TLS 1.2 only with an ECDSA key */
};

/* The group of the key exchange.  In TLS 1.2 a client's groups are also those
 * of certificates, so P-256 comes second after x25519. */
enum bench_group { BENCH_X25519, BENCH_P256 };

/* What the two ends of a connection agree on.  The client verifies the chain
 * and the name server.example.  Unless it resumes, no session is offered and no
 * ticket is sent. */
struct bench_terms {
    enum bench_suite suite;
    bool tls13;
    enum bench_group group;
    bool is_rsa; /* the certificate's key: RSA-2048, else P-256 */
    /* The server gives one ticket, and the client presents the last one that it
     * got, once. */
    bool resumes;
};

struct bench_peer {
    const char *name;

    /* The library's version, as it says at run time. */
    const char *(*version)(void);

    /* What all connections of the terms share, both roles; NULL: the library
     * does not have them. */
    void *(*setup)(const struct bench_terms *terms);
    void (*teardown)(void *setup);

    /* Both ends of a connection; no byte has passed yet.  room: bytes that a
     * transport in memory must hold in one direction. */
    void *(*connect)(void *setup, enum bench_transport transport, size_t room);

    /* One step of an end's handshake; true: it is over. */
    bool (*step)(void *conn, enum bench_end end);

    /* Write one record of len bytes, at most 16,384. */
    void (*write)(void *conn, enum bench_end end, const uint8_t *buf,
                  size_t len);

    /* Hand what was written to the transport, where writing may keep it;
     * NULL: it does not. */
    void (*flush)(void *conn, enum bench_end end);

    /* Read up to cap bytes, at least one; how many. */
    size_t (*read)(void *conn, enum bench_end end, uint8_t *buf, size_t cap);

    /* Where the terms resume, after the handshake: the client reads, and keeps
     * the ticket that came. */
    void (*take_ticket)(void *conn);

    /* Where the terms resume, after the handshake: whether a session was. */
    bool (*is_resumed)(void *conn);

    /* What an event loop does with an end that has nothing to read, before it
     * waits for more. */
    void (*settle)(void *conn, enum bench_end end);

    /* Release one end, with its side of the transport, in no orderly way. */
    void (*close_end)(void *conn, enum bench_end end);

    /* What is left of a connection whose ends are closed. */
    void (*close)(void *conn);
};

/* The path of a test key; valid until the next but one call. */
const char *bench_key(const char *file);

/* End the program unless ok. */
void bench_check(bool ok, const char *what);

/* A socketpair(2), non-blocking, with room for a batch of records. */
void bench_sockets(int fd[2]);

extern const struct bench_peer bench_libflow;
extern const struct bench_peer bench_openssl;
extern const struct bench_peer bench_gnutls;

/* Of a module, since it brings a libmbedcrypto of its own. */
extern const struct bench_peer bench_mbedtls;

#endif
