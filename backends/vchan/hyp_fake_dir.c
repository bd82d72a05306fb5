/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/vchan/atomic.h"
#include "backends/vchan/hyp_fake_member.h"

/* Bytes for the path of a file in the directory. */
#define DIR_NAME_MAX (FAKE_DIR + 16)

/* Numbers that a new member tries. */
#define DIR_JOIN_TRIES 65536u

/* Times to try for the lock of the world, in pauses of a millisecond. */
#define DIR_LOCK_TRIES 1000u

static enum flow_status
dir_fail_errno(struct flow_error *err, int code, const char *text,
               const char *detail)
{
    flow_error_set(err, FLOW_E_SYS, "vchan+fake", FLOW_DOMAIN_ERRNO, code,
                   text);
    flow_error_set_detail(err, detail);
    return FLOW_E_SYS;
}

static void
dir_name_in(const struct fake_dir *dir, const char *name,
            char ret_path[DIR_NAME_MAX])
{
    snprintf(ret_path, DIR_NAME_MAX, "%s/%s", dir->path, name);
}

static void
dir_remove_file(const struct fake_dir *dir, const char *name)
{
    char path[DIR_NAME_MAX];

    dir_name_in(dir, name, path);
    unlink(path);
}

/* Removes sockets of channels that were not closed, and of dead members. */
static void
dir_remove_sockets(const struct fake_dir *dir)
{
    DIR *list = opendir(dir->path);
    struct dirent *entry;

    if (list == NULL)
        return;
    while ((entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, "port-", 5) == 0 ||
            strncmp(entry->d_name, "member-", 7) == 0)
            unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
}

/* Maps `world` and opens `pages`; false with errno. */
static bool
dir_open_files(struct fake_dir *dir, int flags)
{
    char path[DIR_NAME_MAX];
    struct stat st;
    void *map;
    int fd;

    dir_name_in(dir, "pages", path);
    dir->pages_fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (dir->pages_fd < 0)
        return false;
    dir_name_in(dir, "world", path);
    dir->world_fd = fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return false;
    /* The pages are a sparse file: only used ones take memory. */
    if (flags != 0 &&
        (ftruncate(fd, sizeof(struct fake_world)) != 0 ||
         ftruncate(dir->pages_fd, (off_t)FAKE_PAGES * VCHAN_PAGE_SIZE) != 0))
        return false;
    if (fstat(fd, &st) != 0)
        return false;
    if (st.st_size < (off_t)sizeof(struct fake_world)) {
        errno = EAGAIN;
        return false;
    }
    map = mmap(NULL, sizeof(struct fake_world), PROT_READ | PROT_WRITE,
               MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return false;
    dir->world = map;
    return true;
}

static void
dir_drop_files(struct fake_dir *dir)
{
    if (dir->world != NULL)
        munmap(dir->world, sizeof(*dir->world));
    if (dir->world_fd >= 0)
        close(dir->world_fd);
    if (dir->pages_fd >= 0)
        close(dir->pages_fd);
    dir->world = NULL;
    dir->world_fd = dir->pages_fd = -1;
}

enum flow_status
flow__fake_dir_name(struct fake_dir *dir, const char *path,
                    struct flow_error *err)
{
    memset(dir, 0, sizeof(*dir));
    dir->world_fd = dir->pages_fd = dir->alive_fd = -1;
    if (path[0] == '\0' || strlen(path) >= sizeof(dir->path)) {
        flow_error_set(err, FLOW_E_INVAL, "vchan+fake", FLOW_DOMAIN_NONE, 0,
                       "the directory's name is empty or longer than 87 bytes");
        flow_error_set_detail(err, path);
        return FLOW_E_INVAL;
    }
    memcpy(dir->path, path, strlen(path) + 1);
    pthread_mutex_init(&dir->lock, NULL);
    return FLOW_OK;
}

/*
 * Takes an unused number.  The search begins at the counter in the world; a
 * number is free if its socket can be bound.
 */
static bool
dir_join(struct fake_dir *dir)
{
    uint32_t hint;

    flow__fake_lock(dir);
    hint = load_relaxed(&dir->world->members);
    for (uint32_t i = 0; i < DIR_JOIN_TRIES && dir->alive_fd < 0; i++) {
        uint32_t member = hint + i;

        if (member <= FAKE_MAKER)
            continue;
        dir->alive_fd = flow__fake_member_declare(dir, member);
        if (dir->alive_fd < 0 && errno != EADDRINUSE)
            break;
        dir->member = member;
    }
    if (dir->alive_fd >= 0)
        store_relaxed(&dir->world->members, dir->member + 1);
    flow__fake_unlock(dir);
    return dir->alive_fd >= 0;
}

enum flow_status
flow__fake_dir_make(struct fake_dir *dir, const char *path, bool silent,
                    struct flow_error *err)
{
    enum flow_status st = flow__fake_dir_name(dir, path, err);

    if (st != FLOW_OK)
        return st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        st = dir_fail_errno(err, errno, "cannot make the directory", path);
        flow__fake_dir_drop(dir);
        return st;
    }
    if (flow__fake_member_lives(dir, FAKE_MAKER)) {
        flow__fake_dir_drop(dir);
        return dir_fail_errno(err, EADDRINUSE,
                              "another server uses the directory", path);
    }

    /* Files of a dead maker may still be mapped: replace, do not change them.
     */
    dir_remove_file(dir, "world");
    dir_remove_file(dir, "pages");
    dir_remove_file(dir, "alive");
    dir_remove_sockets(dir);
    dir->member = FAKE_MAKER;
    dir->silent = silent;
    dir->alive_fd = flow__fake_member_declare(dir, FAKE_MAKER);
    if (dir->alive_fd < 0 || !dir_open_files(dir, O_CREAT | O_EXCL)) {
        st = dir_fail_errno(err, errno,
                            "cannot make the files of the directory", path);
        flow__fake_dir_leave(dir);
        return st;
    }
    dir->world->silent = silent;
    dir->world->members = FAKE_MAKER + 1;
    store_release(&dir->world->magic, FAKE_MAGIC);
    return FLOW_OK;
}

enum flow_status
flow__fake_dir_attach(struct fake_dir *dir, struct flow_error *err)
{
    int code;

    if (dir->world != NULL)
        return FLOW_OK;
    if (!flow__fake_member_lives(dir, FAKE_MAKER))
        return FLOW_AGAIN;
    if (!dir_open_files(dir, 0)) {
        code = errno;
        dir_drop_files(dir);
        return code == ENOENT || code == EAGAIN
                   ? FLOW_AGAIN
                   : dir_fail_errno(err, code,
                                    "cannot open the files of the directory",
                                    dir->path);
    }
    if (load_acquire(&dir->world->magic) != FAKE_MAGIC) {
        dir_drop_files(dir);
        return FLOW_AGAIN;
    }
    if (!dir_join(dir)) {
        code = errno;
        dir_drop_files(dir);
        return dir_fail_errno(err, code, "cannot join the directory",
                              dir->path);
    }
    dir->silent = load_relaxed(&dir->world->silent) != 0;
    return FLOW_OK;
}

void
flow__fake_dir_drop(struct fake_dir *dir)
{
    dir_drop_files(dir);
    if (dir->alive_fd >= 0)
        close(dir->alive_fd);
    dir->alive_fd = -1;
    pthread_mutex_destroy(&dir->lock);
}

void
flow__fake_dir_kill(struct fake_dir *dir)
{
    /* The maker's socket also stands for the directory, which stays. */
    if (dir->member != FAKE_MAKER)
        shutdown(dir->alive_fd, SHUT_RDWR);
}

void
flow__fake_dir_leave(struct fake_dir *dir)
{
    if (dir->member == FAKE_MAKER) {
        dir_remove_file(dir, "world");
        dir_remove_file(dir, "pages");
        dir_remove_file(dir, "alive");
        dir_remove_sockets(dir);
        rmdir(dir->path);
    } else if (dir->world != NULL) {
        flow__fake_lock(dir);
        flow__fake_reclaim(dir, dir->member);
        flow__fake_unlock(dir);
    }
    flow__fake_dir_drop(dir);
}

void
flow__fake_lock(struct fake_dir *dir)
{
    pthread_mutex_lock(&dir->lock);
    while (flock(dir->world_fd, LOCK_EX | LOCK_NB) != 0) {
        if (dir->lock_tries >= DIR_LOCK_TRIES)
            return;
        dir->lock_tries++;
        poll(NULL, 0, 1);
    }
    dir->lock_tries = 0;
}

void
flow__fake_unlock(struct fake_dir *dir)
{
    flock(dir->world_fd, LOCK_UN);
    pthread_mutex_unlock(&dir->lock);
}
