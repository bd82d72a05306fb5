/* SPDX-License-Identifier: ISC */
#include "passphrase.h"
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSPHRASE_MAX 256

/* Read without buffers of stdio, which would keep a copy. */
static bool
passphrase_read_open(int fd, struct passphrase *ret)
{
    ssize_t n = 1;

    while (n != 0 && ret->len < sizeof(ret->text)) {
        n = read(fd, ret->text + ret->len, sizeof(ret->text) - ret->len);
        if (n < 0 && errno != EINTR)
            return false;
        ret->len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Why the file cannot be read, or NULL. */
static const char *
passphrase_load(const char *path, bool only_regular, struct passphrase *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | (only_regular ? O_NONBLOCK : 0));
    const char *why = NULL;
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0)
        why = strerror(errno);
    else if (only_regular && !S_ISREG(info.st_mode))
        why = "it is not a regular file, which a server reads again on SIGHUP";
    else if (!passphrase_read_open(fd, ret))
        why = strerror(errno);
    if (fd >= 0)
        close(fd);
    return why;
}

/* See "passphrase.h". */
bool
passphrase_read(const char *path, bool only_regular, struct passphrase *ret)
{
    const char *why, *end;

    ret->len = 0;
    why = passphrase_load(path, only_regular, ret);
    end = memchr(ret->text, '\n', ret->len);
    if (end != NULL)
        ret->len = (size_t)(end - ret->text);
    if (why == NULL && ret->len > 0 && ret->len <= PASSPHRASE_MAX)
        return true;
    if (why != NULL)
        cli_complain("cannot read --passphrase-file: %s: %s", path, why);
    else
        cli_complain("--passphrase-file: %s: the first line is not 1 to %d "
                     "bytes long",
                     path, PASSPHRASE_MAX);
    flow_wipe(ret, sizeof(*ret));
    return false;
}

static size_t
passphrase_give(void *user, char *buf, size_t cap)
{
    const struct passphrase *p = user;

    if (p->len > cap)
        return 0;
    memcpy(buf, p->text, p->len);
    return p->len;
}

/* See "passphrase.h". */
flow_tls_passphrase_fn *
passphrase_callback(const struct passphrase *p)
{
    return p->len > 0 ? passphrase_give : NULL;
}

/* See "passphrase.h". */
void
passphrase_hint(struct flow_error *err)
{
    if (err->status == FLOW_E_AUTH &&
        strstr(err->text, "no passphrase") != NULL)
        err->hint = "store it decrypted, or give --passphrase-file FILE";
}
