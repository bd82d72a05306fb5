/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_STARTTLS_H
#define EXAMPLES_COMMON_STARTTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

/*
 * What is said in the clear before TLS begins: SMTP (RFC 3207), IMAP (RFC 9051
 * 6.2.1), and the SSLRequest of PostgreSQL.
 *
 * Nothing of it is secret, and an attacker can change all of it.  So the
 * conversation ends with the peer's last byte before TLS: a byte that comes
 * together with that one was put there to be taken for a part of the encrypted
 * conversation, and is refused.  Lines and their number are bounded; the time
 * is the caller's to limit, with a deadline of the flow.
 */

enum starttls_protocol {
    STARTTLS_NONE = 0,
    STARTTLS_SMTP,
    STARTTLS_IMAP,
    STARTTLS_POSTGRES
};

enum starttls_role {
    STARTTLS_CALLS,  /* asks a server for TLS */
    STARTTLS_SERVES, /* has a client ask for it */
    STARTTLS_SKIPS   /* reads the greeting of a server without TLS, whose client
                        has been greeted already */
};

#define STARTTLS_LINE_MAX  2048
#define STARTTLS_LINES_MAX 100

struct starttls {
    enum starttls_protocol protocol;
    enum starttls_role role;
    int state;
    bool is_offered; /* SMTP: the server has STARTTLS */
    unsigned lines;
    char in[STARTTLS_LINE_MAX];
    size_t in_len;
    char out[256];
    size_t out_len, out_sent;
    const char *problem; /* after FLOW_E_PROTO */
};

/* The protocol with this name; false: printed that there is none. */
bool starttls_choose(const char *name, enum starttls_protocol *ret);

void starttls_init(struct starttls *s, enum starttls_protocol protocol,
                   enum starttls_role role);

/* Go on until the flow would block.  FLOW_OK: the next byte in either direction
 * is one of TLS; for STARTTLS_SKIPS, one of the server's first answer.
 * FLOW_AGAIN: wait for starttls_wants().  FLOW_E_PROTO: problem says why it
 * ends.  Any other status: the flow has failed. */
enum flow_status starttls_step(struct starttls *s, struct flow *f);
uint32_t starttls_wants(const struct starttls *s);

#endif
