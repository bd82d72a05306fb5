/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/plat.h"

/*
 * Read what fits; *ret_len is cap when there may be more.  A file may grow
 * while it is read, so its size is only a first guess.
 */
static enum flow_status
file_read_up_to(int fd, uint8_t *data, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    ssize_t n;

    while (len < cap) {
        n = read(fd, data + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FLOW_E_SYS;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return FLOW_OK;
}

/* Move the bytes to a block of exactly their size, so that the caller can
 * release it with the length alone.  The larger block is wiped, since it may
 * hold a private key. */
static enum flow_status
file_fit(const struct flow_env *env, uint8_t *data, size_t cap, size_t len,
         uint8_t **ret_data)
{
    uint8_t *exact = flow_env_alloc(env, len + 1);
    size_t i;

    if (exact != NULL)
        for (i = 0; i < len; i++)
            exact[i] = data[i];
    flow_wipe(data, cap);
    flow_env_free(env, data, cap);
    if (exact == NULL)
        return FLOW_E_NOMEM;
    *ret_data = exact;
    return FLOW_OK;
}

static enum flow_status
file_read_open(const struct flow_env *env, int fd, size_t max,
               uint8_t **ret_data, size_t *ret_len)
{
    enum flow_status st;
    struct stat info;
    size_t cap, len;
    uint8_t *data;

    if (fstat(fd, &info) != 0)
        return FLOW_E_SYS;
    if (!S_ISREG(info.st_mode)) {
        errno = S_ISDIR(info.st_mode) ? EISDIR : ENOTSUP;
        return FLOW_E_SYS;
    }
    if (info.st_size > 0 && (uintmax_t)info.st_size > max)
        return FLOW_E_INVAL;
    /* One more than allowed, to see whether there is more; a size of 0 says
     * nothing (/proc). */
    cap = info.st_size > 0 ? (size_t)info.st_size + 1 : max + 1;
    data = flow_env_alloc(env, cap);
    if (data == NULL)
        return FLOW_E_NOMEM;
    st = file_read_up_to(fd, data, cap, &len);
    if (st == FLOW_OK && len == cap)
        st = FLOW_E_INVAL;
    if (st != FLOW_OK) {
        flow_wipe(data, cap);
        flow_env_free(env, data, cap);
        return st;
    }
    *ret_len = len;
    return file_fit(env, data, cap, len, ret_data);
}

static const char *
file_text_of(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return "no such file or directory";
    case EACCES:
    case EPERM:
        return "permission denied";
    case EISDIR:
        return "is a directory";
    case ENOTSUP:
        return "is not a regular file";
    default:
        return "the file cannot be read";
    }
}

enum flow_status
flow__plat_read_file(const struct flow_env *env, const char *path, size_t max,
                     uint8_t **ret_data, size_t *ret_len, int32_t *ret_code,
                     const char **ret_text)
{
    enum flow_status st = FLOW_E_SYS;
    int fd;

    /* Opening a FIFO would wait for its writer, perhaps for ever. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        st = file_read_open(env, fd, max, ret_data, ret_len);
    *ret_code = st == FLOW_E_SYS ? errno : 0;
    *ret_text = file_text_of(*ret_code);
    if (fd >= 0)
        close(fd);
    return st;
}

const char *const *
flow__plat_trust_files(void)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* openSUSE */
        "/etc/ssl/cert.pem",                  /* BSD, macOS, Alpine */
        "/usr/local/share/certs/ca-root-nss.crt",
        NULL,
    };

    return files;
}
