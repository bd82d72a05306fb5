/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_CONTENTS_H
#define UNIKERNEL_APP_CONTENTS_H

#include <stddef.h>

/* What is linked into the image for one TLS name; contents.py makes the table.
 */
struct contents_item {
    const char *name;
    const char *file; /* the name of the body's file */
    const void *body;
    size_t body_len;
    const void *chain; /* PEM, and its key */
    size_t chain_len;
    const void *key;
    size_t key_len;
};

/* Ended by an item without a name. */
extern const struct contents_item contents[];

#endif
