/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_REMOTE_H
#define TEST_INTEROP_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/listener.h>
#include <flow/tls.h>

#include "child.h"

/*
 * A TLS flow of ours over TCP, and the tool of another at its other end.
 *
 *     serve("p256", 0x0304);
 *     child_start(&remote.child, NULL, argv);
 *     must_open(accept_tls());
 *     hear("ping\n");
 *     say_bye("pong\n");
 *     end();
 */
struct remote {
    struct flow_tls_config *config;
    struct flow_listener *listener;
    struct flow *tls;
    struct child child;
    char address[64]; /* 127.0.0.1:port */
    char port[16];
    char ca[256];
};

extern struct remote remote;

#define ARGS 32

/* Whether a program is there; else says so. */
bool need(const char *program);

/* A server with this key pair; settings may be changed until accept_tls(). */
void serve(const char *pair, int version);
void add_pair(const char *name);
/* What opening the next connection answers. */
enum flow_status accept_tls(void);

/* A client of the server that runs as child and listens on this port. */
void client_of(const char *at, int version);
enum flow_status dial_tls(void);

/* Close all of it and end the tool. */
void end(void);

/* Why ours failed; static. */
const char *why(void);
void must_open(enum flow_status st);
void say(const char *text);
void hear(const char *text);
/* Read to the end, which must be this one. */
void hear_end(enum flow_status wanted);
/* Say it, end, and let the tool end. */
void say_bye(const char *text);
/* What both sides must have agreed on. */
void agreed(int version, unsigned suite);

struct suite {
    int version;
    unsigned number;
    const char *openssl;
    const char *gnutls; /* priority string behind the version's */
    const char *pair;
};

/* All that we have; the last has no number. */
extern const struct suite suites[];
/* Nothing but this one. */
void offer(const struct suite *s);

#endif
