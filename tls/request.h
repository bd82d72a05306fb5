/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_REQUEST_H
#define FLOW_TLS_REQUEST_H

#include "tls/engine.h"

/*
 * A CertificateRequest, and which certificate of a client answers it.  Pure.
 */

/*
 * The first pair whose key signs with a scheme that the server accepts (in TLS
 * 1.2 also with a type of certificate that it accepts) and, if the server names
 * authorities, of whose chain one certificate has one of these as its issuer.
 * NULL: none.  msg was checked; suite is the agreed one, and says the version.
 */
struct flow__keypair *flow__request_choose(const uint8_t *msg, size_t len,
                                           const struct flow__suite *suite,
                                           struct flow__keypair *const *pair,
                                           size_t count);

#endif
