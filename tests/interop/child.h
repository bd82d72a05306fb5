/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_CHILD_H
#define TEST_INTEROP_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A child program: its standard input and its output are pipes, it is killed by
 * its own process id, and it does not outlive the test.
 */
struct child {
    pid_t pid;
    int in;  /* -1: closed */
    int out; /* stdout and stderr */
    char text[65536];
    size_t len;
};

/* Time limit of every operation, in milliseconds. */
#define CHILD_LIMIT 20000

/* Whether the program is installed. */
bool child_exists(const char *program);

/* argv ends in NULL.  input: a file for its standard input, or NULL for a
 * pipe. */
void child_start(struct child *c, const char *input, const char *const argv[]);
/* Write a line; returns after the program has read it, so that it gets two
 * lines as two commands. */
void child_write(struct child *c, const char *text);
void child_close_input(struct child *c);
/* Read its output until that contains this text; false if it ends first. */
bool child_expect(struct child *c, const char *text);
/* The number after a text that it printed. */
unsigned child_number(const struct child *c, const char *text);
/* Wait until it listens; its TCP port. */
unsigned child_port(struct child *c);
/* Read all of its output and wait for its end; its exit status, or 128 plus a
 * signal. */
int child_wait(struct child *c);
/* Kill it if it still runs; safe in every state. */
void child_kill(struct child *c);

#endif
