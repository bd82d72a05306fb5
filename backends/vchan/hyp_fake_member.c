/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
member_socket(const struct fake_dir *dir, uint32_t member,
              struct sockaddr_un *ret_addr)
{
    memset(ret_addr, 0, sizeof(*ret_addr));
    ret_addr->sun_family = AF_UNIX;
    if (member == FAKE_MAKER)
        snprintf(ret_addr->sun_path, sizeof(ret_addr->sun_path), "%s/alive",
                 dir->path);
    else
        snprintf(ret_addr->sun_path, sizeof(ret_addr->sun_path), "%s/member-%u",
                 dir->path, member);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool
flow__fake_member_lives(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    bool lives;
    int fd;

    if (member == dir->member)
        return true;
    fd = member_socket(dir, member, &addr);
    if (fd < 0)
        return true; /* unknown: keep what it owns */
    /* A full backlog (EAGAIN) belongs to a living listener. */
    lives = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ||
            errno == EAGAIN;
    close(fd);
    return lives;
}

int
flow__fake_member_declare(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    int fd = member_socket(dir, member, &addr);
    int code;

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
        listen(fd, 1) == 0)
        return fd;
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

void
flow__fake_member_remove(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    int fd = member_socket(dir, member, &addr);

    unlink(addr.sun_path);
    if (fd >= 0)
        close(fd);
}
