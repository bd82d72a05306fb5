/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_SHOW_H
#define EXAMPLES_COMMON_SHOW_H

#include <stdbool.h>

#include <flow/flow.h>

/* The option --show: what TLS agreed on, and the peer's certificates. */

enum show { SHOW_NOTHING = 0, SHOW_TEXT, SHOW_JSON };

/* The value of --show, or NULL: text.  False, with the reason on stderr: it is
 * neither text nor json, or this build has no JSON library. */
bool show_take(const char *value, enum show *ret);

/* Print the facts of an open TLS flow on stderr. */
void show_flow(struct flow *f, enum show how);

#endif
