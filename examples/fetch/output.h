/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_OUTPUT_H
#define EXAMPLES_FETCH_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Where a body is written.  A regular file is written under a temporary name in
 * the same directory and renamed when it is complete; a failure removes it.
 * Anything else, such as /dev/null or a pipe, is written directly.
 */
struct output {
    const char *path; /* NULL: stdout */
    char *temp;       /* the temporary name, or NULL */
    int fd;           /* -1: not open */
};

/* Each prints the reason on stderr if it fails. */
bool output_open(struct output *o, const char *path);
bool output_write(struct output *o, const char *data, size_t len);
bool output_keep(struct output *o);
/* Removes the temporary file if output_keep() was not called. */
void output_fini(struct output *o);

#endif
