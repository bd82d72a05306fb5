/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_OUTPUT_H
#define EXAMPLES_FETCH_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Where a body goes.  A file appears under its name only once it is whole:
 * until then it is written next to it, and a failure leaves nothing behind.
 * What is no regular file (/dev/null, a pipe) is written to directly.
 */
struct output {
    const char *path; /* NULL: stdout */
    char *temp;       /* the name until it is whole, or NULL */
    int fd;           /* -1: not open */
};

/* Each says on stderr what failed. */
bool output_open(struct output *o, const char *path);
bool output_write(struct output *o, const char *data, size_t len);
bool output_keep(struct output *o);
/* Gives up what was not kept. */
void output_fini(struct output *o);

#endif
