/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_REMOTE_H
#define TEST_INTEROP_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/listener.h>
#include <flow/tls.h>
#include <flow/tls_sni.h>

#include "child.h"

/*
 * A TLS flow of ours over TCP, and a command line tool of another TLS library
 * as its peer.
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

/* Whether the program is installed; prints a note if not. */
bool need(const char *program);

/* A server with this key pair; settings may be changed until accept_tls(). */
void serve(const char *pair, int version);
void add_pair(const char *name);
/* A server with this selector, of which it takes a reference. */
void serve_names(struct flow_tls_sni *sni);
/* The status of opening the next connection. */
enum flow_status accept_tls(void);

/* A client of the server that runs as the child and listens on this port. */
void client_of(const char *at, int version);
enum flow_status dial_tls(void);

/* Close everything and kill the tool. */
void end(void);

/* The error of our flow as text, in static memory. */
const char *why(void);
void must_open(enum flow_status st);
void say(const char *text);
void hear(const char *text);
/* Read to the end; the bytes must be these. */
void hear_end(enum flow_status wanted);
/* Write it, end the direction, and let the tool end. */
void say_bye(const char *text);
/* The parameters that both sides must have agreed on. */
void agreed(int version, unsigned suite);

struct suite {
    int version;
    unsigned number;
    const char *openssl;
    const char *gnutls; /* priority string, after the one of the version */
    const char *pair;
};

/* All groups that we support; the last has no number. */
extern const struct suite suites[];
/* This suite and no other. */
void offer(const struct suite *s);

#endif
