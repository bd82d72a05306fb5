/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_CHILD_H
#define TEST_INTEROP_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A program beside the test: its standard input and what it prints are pipes,
 * it is ended by its own number, and it does not outlive the test.
 */
struct child {
    pid_t pid;
    int in;  /* -1: closed */
    int out; /* both of its outputs */
    char text[65536];
    size_t len;
};

/* Milliseconds that anything may take. */
#define CHILD_LIMIT 20000

/* Whether a program is there to be run. */
bool child_exists(const char *program);

/* argv ends in NULL.  input: a file for its standard input, or NULL for a
 * pipe. */
void child_start(struct child *c, const char *input, const char *const argv[]);
/* Write a line; returns when the program has read it, so that two of them are
 * two to it. */
void child_write(struct child *c, const char *text);
void child_close_input(struct child *c);
/* Read what it prints until that has this text; false when it ends first. */
bool child_expect(struct child *c, const char *text);
/* The number behind a text that it printed. */
unsigned child_number(const struct child *c, const char *text);
/* The TCP port on which it listens; waits for it. */
unsigned child_port(struct child *c);
/* Read all, wait for its end; its exit status, or 128 and a signal. */
int child_wait(struct child *c);
/* End it now if it runs; always safe. */
void child_kill(struct child *c);

#endif
