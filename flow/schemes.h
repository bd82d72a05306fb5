/* SPDX-License-Identifier: ISC */
#ifndef FLOW_PRIVATE_SCHEMES_H
#define FLOW_PRIVATE_SCHEMES_H

#include <flow/endpoint.h>

/*
 * What this build can dial and listen on, ended by NULL.  Written by the
 * build: a directory that adds NAME to the list "schemes" in its meson.build
 * defines "const struct flow_scheme flow__scheme_NAME".
 */
extern const struct flow_scheme *const flow__schemes[];

#endif
