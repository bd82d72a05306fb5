/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CONSTRAINT_H
#define FLOW_TLS_CONSTRAINT_H

#include "tls/cert.h"

/* Name constraints of authorities (RFC 5280 4.2.1.10). */

enum flow__constraint {
    FLOW__CONSTRAINT_MET = 0,
    FLOW__CONSTRAINT_VIOLATED,
    /* It is of a form that is not supported or not well formed, and the
     * certificate has a name of that form. */
    FLOW__CONSTRAINT_UNSUPPORTED,
    FLOW__CONSTRAINT_TOO_MANY /* the budget is used up */
};

/*
 * Compare the names of cert with the constraints of an authority above it: DNS
 * names, e-mail and IP addresses, and directory names, in subjectAltName and in
 * the subject.  The common name is not a DNS name (RFC 9525).  A wildcard is
 * excluded if a name that it covers is, and an IPv6 address to which an IPv4
 * address is mapped if that one is.  Each comparison takes 1 from *budget.
 */
enum flow__constraint flow__constraint_check(const struct flow__cert *authority,
                                             const struct flow__cert *cert,
                                             uint32_t *budget);

#endif
