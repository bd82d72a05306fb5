/* SPDX-License-Identifier: ISC */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static long
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool
child_exists(const char *program)
{
    const char *path = getenv("PATH");
    char name[512];

    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");

        snprintf(name, sizeof(name), "%.*s/%s", (int)n, path, program);
        if (access(name, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static void
become(const char *const argv[], int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    alarm(120);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void
child_start(struct child *c, const char *input, const char *const argv[])
{
    int in[2] = { -1, -1 }, out[2];

    memset(c, 0, sizeof(*c));
    if (input != NULL)
        in[0] = open(input, O_RDONLY | O_CLOEXEC);
    else
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_true(in[0] >= 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0)
        become(argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

void
child_write(struct child *c, const char *text)
{
    long until = now_ms() + CHILD_LIMIT;
    size_t len = strlen(text);
    int left = 1;

    assert_int_equal(write(c->in, text, len), len);
    while (ioctl(c->in, FIONREAD, &left) == 0 && left > 0) {
        assert_true(now_ms() < until);
        (void)poll(NULL, 0, 1);
    }
}

void
child_close_input(struct child *c)
{
    if (c->in >= 0)
        close(c->in);
    c->in = -1;
}

/* Read a piece of its output; false at the end. */
static bool
listen_to(struct child *c, long until)
{
    struct pollfd p = { c->out, POLLIN, 0 };
    long left = until - now_ms();
    ssize_t n;

    if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
        print_error("no more of: %.*s\n", (int)c->len, c->text);
        fail();
    }
    /* Only the last part of a long output is kept. */
    if (c->len > sizeof(c->text) / 2 + 4096) {
        memmove(c->text, c->text + 4096, c->len - 4096);
        c->len -= 4096;
    }
    n = read(c->out, c->text + c->len, sizeof(c->text) / 4);
    if (n <= 0)
        return false;
    c->len += (size_t)n;
    c->text[c->len] = '\0';
    return true;
}

bool
child_expect(struct child *c, const char *text)
{
    long until = now_ms() + CHILD_LIMIT;

    while (strstr(c->text, text) == NULL)
        if (!listen_to(c, until))
            return strstr(c->text, text) != NULL;
    return true;
}

unsigned
child_number(const struct child *c, const char *text)
{
    const char *p = strstr(c->text, text);

    assert_non_null(p);
    return (unsigned)strtoul(p + strlen(text), NULL, 10);
}

/* Whether a descriptor of the child is this socket. */
static bool
has_socket(pid_t pid, unsigned long inode)
{
    char path[64], name[sizeof(path) + 260], target[64], wanted[64];
    struct dirent *e;
    bool found = false;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    d = opendir(path);
    while (d != NULL && !found && (e = readdir(d)) != NULL) {
        ssize_t n;

        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        n = readlink(name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            found = strcmp(target, wanted) == 0;
        }
    }
    if (d != NULL)
        closedir(d);
    return found;
}

static unsigned
listening_port(pid_t pid)
{
    FILE *f = fopen("/proc/net/tcp", "r");
    unsigned port = 0, local, state;
    unsigned long inode;
    char line[300];

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line,
                   " %*d: %*x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*d "
                   "%*d %lu",
                   &local, &state, &inode) == 3 &&
            state == 10 && has_socket(pid, inode))
            port = local;
    fclose(f);
    return port;
}

unsigned
child_port(struct child *c)
{
    assert_true(child_expect(c, "listening on"));
    /* The program prints a prompt before and after it; the end of a line is
     * enough. */
    assert_true(child_expect(c, "done"));
    return listening_port(c->pid);
}

int
child_wait(struct child *c)
{
    long until = now_ms() + CHILD_LIMIT * 3;
    int status;

    child_close_input(c);
    while (listen_to(c, until))
        ;
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    c->pid = 0;
    close(c->out);
    c->out = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
child_kill(struct child *c)
{
    child_close_input(c);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        close(c->out);
    }
    c->pid = 0;
}
