/* SPDX-License-Identifier: ISC */
#include "session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/cli.h"

/* More than the store of a client exports. */
#define SESSION_FILE_MAX (4u << 20)

static bool
session_file_complain(const char *path, const char *what)
{
    cli_complain("cannot %s --session-file %s: %s", what, path,
                 strerror(errno));
    return false;
}

/* Whether the file is a regular one that only its owner can use. */
static bool
session_file_is_private(const char *path, const struct stat *info)
{
    if (S_ISREG(info->st_mode) && info->st_uid == geteuid() &&
        (info->st_mode & 077u) == 0)
        return true;
    cli_complain("--session-file %s is not a file that only you can read and "
                 "write: it could make flow-fetch trust any server; use chmod "
                 "600 or another file",
                 path);
    return false;
}

static bool
session_file_read_all(int fd, uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, data, len);

        if (n == 0)
            errno = EIO;
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* --- quoted in docs/sessions.md --- */

static void
session_file_take(const char *path, struct flow_tls_sessions *s,
                  const uint8_t *data, size_t len)
{
    struct flow_error err;
    char what[300];

    if (len < FLOW_TLS_SESSIONS_KEY_LEN) {
        cli_complain("--session-file %s is damaged and ignored", path);
        return;
    }
    if (flow_tls_sessions_import(s, data, data + FLOW_TLS_SESSIONS_KEY_LEN,
                                 len - FLOW_TLS_SESSIONS_KEY_LEN,
                                 &err) == FLOW_OK)
        return;
    snprintf(what, sizeof(what), "--session-file %s is ignored", path);
    cli_flow_error(what, &err);
}

/* The key and the sessions; the caller frees them. */
static uint8_t *
session_file_give(struct flow_tls_sessions *s, size_t *ret_len)
{
    const struct flow_env *env = flow_env_default();
    uint8_t key[FLOW_TLS_SESSIONS_KEY_LEN];
    uint8_t *data = NULL;
    size_t len;

    if (env->random(env->ctx, key, sizeof(key)) &&
        flow_tls_sessions_export(s, key, NULL, 0, &len) == FLOW_E_INVAL)
        data = malloc(sizeof(key) + len);
    if (data != NULL && flow_tls_sessions_export(s, key, data + sizeof(key),
                                                 len, &len) == FLOW_OK) {
        memcpy(data, key, sizeof(key));
        *ret_len = sizeof(key) + len;
        return data;
    }
    free(data);
    return NULL;
}

/* --- end of the quotation --- */

/* See "session_file.h". */
bool
session_file_read(const char *path, struct flow_tls_sessions *s)
{
    /* Without O_NONBLOCK it would wait for the writer of a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    uint8_t *data = NULL;
    bool ok = false;

    if (fd < 0 && errno == ELOOP) {
        cli_complain("cannot read --session-file %s: it is a symbolic link; "
                     "name the file itself",
                     path);
        return false;
    }
    if (fd < 0)
        return errno == ENOENT || session_file_complain(path, "read");
    if (fstat(fd, &info) != 0) {
        session_file_complain(path, "read");
    } else if (session_file_is_private(path, &info)) {
        size_t len = (size_t)info.st_size;

        data = len > 0 && len <= SESSION_FILE_MAX ? malloc(len) : NULL;
        ok = data == NULL || session_file_read_all(fd, data, len);
        if (!ok)
            session_file_complain(path, "read");
        else
            session_file_take(path, s, data, data != NULL ? len : 0);
        if (data != NULL)
            flow_wipe(data, len);
    }
    free(data);
    close(fd);
    return ok;
}

static bool
session_file_write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Under a temporary name in the same directory, which mkstemp() makes ours
 * alone. */
static bool
session_file_replace(const char *path, const uint8_t *data, size_t len)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *temp = malloc(size);
    bool ok = false;
    int fd;

    if (temp == NULL)
        return session_file_complain(path, "write");
    snprintf(temp, size, "%s.XXXXXX", path);
    fd = mkstemp(temp);
    if (fd >= 0) {
        ok = session_file_write_all(fd, data, len);
        ok = close(fd) == 0 && ok && rename(temp, path) == 0;
    }
    if (!ok)
        session_file_complain(path, "write");
    if (!ok && fd >= 0)
        unlink(temp);
    free(temp);
    return ok;
}

/* See "session_file.h". */
bool
session_file_write(const char *path, struct flow_tls_sessions *s)
{
    size_t len = 0;
    uint8_t *data = session_file_give(s, &len);
    bool ok;

    if (data == NULL) {
        cli_complain("cannot write --session-file %s: there is no memory, or "
                     "there are no random bytes",
                     path);
        return false;
    }
    ok = session_file_replace(path, data, len);
    flow_wipe(data, len);
    free(data);
    return ok;
}
