/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_KEYLOG_H
#define EXAMPLES_COMMON_KEYLOG_H

#include <stdbool.h>

#include <flow/tls_config.h>

/*
 * The key log of a program: the file of --keylog, else that of SSLKEYLOGFILE in
 * the environment, else none.  The library itself never writes one.
 */

/* --keylog was given. */
void keylog_choose(const char *path);
bool keylog_is_chosen(void);

/* Before the configuration is frozen.  Opens the file, readable by its owner
 * alone if it is new, and says on stderr that it is written.  Returns an exit
 * code; if it is not CLI_OK, the reason was printed. */
int keylog_attach(struct flow_tls_config *config);

#endif
