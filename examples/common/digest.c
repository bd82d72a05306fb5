/* SPDX-License-Identifier: ISC */
#include "digest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* See "digest.h". */
uint64_t
digest_add(uint64_t digest, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static uint64_t
digest_descriptor(int fd)
{
    uint64_t digest = DIGEST_BEGIN;
    uint8_t bytes[4096];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        digest = digest_add(digest, bytes, (size_t)n);
    return n == 0 ? digest : 0;
}

/* See "digest.h". */
uint64_t
digest_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    uint64_t digest = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
        digest = digest_descriptor(fd);
    close(fd);
    return digest;
}
