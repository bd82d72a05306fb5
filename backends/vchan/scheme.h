/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SCHEME_H
#define FLOW_VCHAN_SCHEME_H

#include <flow/endpoint.h>

/* The list of schemes in flow/schemes.h, which the build writes, has these
 * names. */
extern const struct flow_scheme flow__scheme_vchan;
extern const struct flow_scheme flow__scheme_vchan_fake; /* fake.c */

#endif
