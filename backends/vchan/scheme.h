/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SCHEME_H
#define FLOW_VCHAN_SCHEME_H

#include <flow/endpoint.h>

/* The list in flow/schemes.h is written by the build and knows the names. */
extern const struct flow_scheme flow__scheme_vchan;
extern const struct flow_scheme flow__scheme_vchan_fake; /* fake.c */

#endif
