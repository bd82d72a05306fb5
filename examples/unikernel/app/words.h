/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_WORDS_H
#define UNIKERNEL_APP_WORDS_H

/* The value of the last word "NAME=VALUE" of the command line, or NULL. */
const char *words_find(int argc, char **argv, const char *name);

#endif
