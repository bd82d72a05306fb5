/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_SESSION_FILE_H
#define EXAMPLES_FETCH_SESSION_FILE_H

#include <stdbool.h>

#include <flow/tls_session.h>

/*
 * Sessions in a file, for the next run.  A user who can write the file can make
 * a client accept any server, and one who can read it can read connections of
 * TLS 1.2 that resumed its sessions, so it must be its owner's alone.  The key
 * that the sessions are sealed with is in the file too: it shows a file that is
 * damaged, and no more.
 */

/* Read the sessions of a file into a store.  A file that does not exist has
 * none.  One that is damaged is reported on stderr, and has none either. false:
 * others can read or write the file, or it cannot be read; the reason is
 * printed. */
bool session_file_read(const char *path, struct flow_tls_sessions *s);

/* Replace the file by the sessions of a store, which is empty then.  false: the
 * reason is printed. */
bool session_file_write(const char *path, struct flow_tls_sessions *s);

#endif
