/* SPDX-License-Identifier: ISC */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/cli.h"

/* The temporary file, which a signal must remove: a handler has no argument for
 * it. */
static char *volatile unfinished;

static void
output_on_signal(int number)
{
    if (unfinished != NULL)
        unlink(unfinished);
    /* SA_RESETHAND has restored the default action. */
    raise(number);
}

static void
output_guard(char *temp)
{
    static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
    struct sigaction action;
    size_t i;

    unfinished = temp;
    memset(&action, 0, sizeof(action));
    action.sa_handler = temp != NULL ? output_on_signal : SIG_DFL;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

static bool
output_complain(const struct output *o, const char *what)
{
    cli_complain("cannot %s %s: %s", what,
                 o->path != NULL ? o->path : "standard output",
                 strerror(errno));
    return false;
}

/* The permissions that open() would give; mkstemp() gives 0600. */
static mode_t
output_usual_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

static bool
output_open_temporary(struct output *o)
{
    size_t len = strlen(o->path) + sizeof(".XXXXXX");

    o->temp = malloc(len);
    if (o->temp == NULL)
        return output_complain(o, "write");
    snprintf(o->temp, len, "%s.XXXXXX", o->path);
    o->fd = mkstemp(o->temp);
    if (o->fd < 0) {
        free(o->temp);
        o->temp = NULL;
        return output_complain(o, "write");
    }
    output_guard(o->temp);
    if (fchmod(o->fd, output_usual_mode()) != 0)
        return output_complain(o, "set the permissions of");
    return true;
}

/* See "output.h". */
bool
output_open(struct output *o, const char *path)
{
    struct stat info;

    o->path = path;
    o->temp = NULL;
    o->fd = STDOUT_FILENO;
    if (path == NULL)
        return true;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode))
        return output_open_temporary(o);
    o->fd = open(path, O_WRONLY | O_CLOEXEC);
    return o->fd >= 0 || output_complain(o, "write");
}

/* See "output.h". */
bool
output_write(struct output *o, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(o->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return output_complain(o, "write");
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* See "output.h". */
bool
output_keep(struct output *o)
{
    int fd = o->fd;

    o->fd = -1;
    if (fd != STDOUT_FILENO && close(fd) != 0)
        return output_complain(o, "write");
    if (o->temp == NULL)
        return true;
    if (rename(o->temp, o->path) != 0)
        return output_complain(o, "write");
    output_guard(NULL);
    free(o->temp);
    o->temp = NULL;
    return true;
}

/* See "output.h". */
void
output_fini(struct output *o)
{
    if (o->fd >= 0 && o->fd != STDOUT_FILENO)
        close(o->fd);
    o->fd = -1;
    if (o->temp != NULL) {
        output_guard(NULL);
        unlink(o->temp);
    }
    free(o->temp);
    o->temp = NULL;
}
