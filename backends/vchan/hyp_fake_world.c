/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Bytes for a name in the directory. */
#define NAME_MAX_HERE (FAKE_DIR + 16)

static enum flow_status
fail_errno(struct flow_error *err, int code, const char *text,
           const char *detail)
{
    flow_error_set(err, FLOW_E_SYS, "vchan+fake", FLOW_DOMAIN_ERRNO, code,
                   text);
    flow_error_set_detail(err, detail);
    return FLOW_E_SYS;
}

static void
name_in(const struct fake_dir *dir, const char *name,
        char ret_path[NAME_MAX_HERE])
{
    snprintf(ret_path, NAME_MAX_HERE, "%s/%s", dir->path, name);
}

/* A socket that lives as long as its maker: who can connect knows. */
static int
alive_socket(const struct fake_dir *dir, struct sockaddr_un *ret_addr)
{
    memset(ret_addr, 0, sizeof(*ret_addr));
    ret_addr->sun_family = AF_UNIX;
    snprintf(ret_addr->sun_path, sizeof(ret_addr->sun_path), "%s/alive",
             dir->path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool
maker_lives(const struct fake_dir *dir)
{
    struct sockaddr_un addr;
    int fd = alive_socket(dir, &addr);
    bool lives;

    if (fd < 0)
        return false;
    /* A full backlog (EAGAIN) belongs to a living listener. */
    lives = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ||
            errno == EAGAIN;
    close(fd);
    return lives;
}

static int
declare_alive(const struct fake_dir *dir)
{
    struct sockaddr_un addr;
    int fd = alive_socket(dir, &addr);

    if (fd < 0)
        return -1;
    unlink(addr.sun_path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
        listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
remove_file(const struct fake_dir *dir, const char *name)
{
    char path[NAME_MAX_HERE];

    name_in(dir, name, path);
    unlink(path);
}

/* Sockets of channels that nobody closed. */
static void
remove_ports(const struct fake_dir *dir)
{
    DIR *list = opendir(dir->path);
    struct dirent *entry;

    if (list == NULL)
        return;
    while ((entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, "port-", 5) == 0)
            unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
}

static bool
init_lock(struct fake_world *w)
{
    pthread_mutexattr_t attr;
    bool ok;

    if (pthread_mutexattr_init(&attr) != 0)
        return false;
    /* Robust: a process that dies inside must not stop the world. */
    ok = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0 &&
         pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0 &&
         pthread_mutex_init(&w->lock, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return ok;
}

/* Maps `world` and opens `pages`; false with errno. */
static bool
open_files(struct fake_dir *dir, int flags)
{
    char path[NAME_MAX_HERE];
    struct stat st;
    void *map;
    int fd;

    name_in(dir, "pages", path);
    dir->pages_fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (dir->pages_fd < 0)
        return false;
    name_in(dir, "world", path);
    fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return false;
    /* The pages are a sparse file: only what is used takes memory. */
    if (flags != 0 &&
        (ftruncate(fd, sizeof(struct fake_world)) != 0 ||
         ftruncate(dir->pages_fd, (off_t)FAKE_PAGES * VCHAN_PAGE_SIZE) != 0)) {
        close(fd);
        return false;
    }
    if (fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(struct fake_world)) {
        close(fd);
        errno = EAGAIN;
        return false;
    }
    map = mmap(NULL, sizeof(struct fake_world), PROT_READ | PROT_WRITE,
               MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    dir->world = map;
    return true;
}

static void
drop_files(struct fake_dir *dir)
{
    if (dir->world != NULL)
        munmap(dir->world, sizeof(*dir->world));
    if (dir->pages_fd >= 0)
        close(dir->pages_fd);
    dir->world = NULL;
    dir->pages_fd = -1;
}

enum flow_status
flow__fake_dir_name(struct fake_dir *dir, const char *path,
                    struct flow_error *err)
{
    memset(dir, 0, sizeof(*dir));
    dir->pages_fd = dir->alive_fd = -1;
    if (path[0] == '\0' || strlen(path) >= sizeof(dir->path)) {
        flow_error_set(err, FLOW_E_INVAL, "vchan+fake", FLOW_DOMAIN_NONE, 0,
                       "the directory's name is empty or above 87 bytes");
        flow_error_set_detail(err, path);
        return FLOW_E_INVAL;
    }
    memcpy(dir->path, path, strlen(path) + 1);
    return FLOW_OK;
}

static void
join(struct fake_dir *dir)
{
    flow__fake_lock(dir->world);
    dir->member = (uint16_t)++dir->world->members;
    flow__fake_unlock(dir->world);
}

enum flow_status
flow__fake_dir_make(struct fake_dir *dir, const char *path, bool silent,
                    struct flow_error *err)
{
    enum flow_status st = flow__fake_dir_name(dir, path, err);

    if (st != FLOW_OK)
        return st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_errno(err, errno, "cannot make the directory", path);
    if (maker_lives(dir))
        return fail_errno(err, EADDRINUSE, "another server is there", path);

    /* What a dead maker left may still be mapped: replaced, not changed. */
    remove_file(dir, "world");
    remove_file(dir, "pages");
    remove_ports(dir);
    dir->alive_fd = declare_alive(dir);
    if (dir->alive_fd < 0 || !open_files(dir, O_CREAT | O_EXCL) ||
        !init_lock(dir->world)) {
        st = fail_errno(err, errno, "cannot make its files", path);
        flow__fake_dir_leave(dir);
        return st;
    }
    dir->world->silent = silent;
    __atomic_store_n(&dir->world->magic, FAKE_MAGIC, __ATOMIC_RELEASE);
    join(dir);
    return FLOW_OK;
}

enum flow_status
flow__fake_dir_attach(struct fake_dir *dir, struct flow_error *err)
{
    if (dir->world != NULL)
        return FLOW_OK;
    if (!maker_lives(dir))
        return FLOW_AGAIN;
    if (!open_files(dir, 0)) {
        bool later = errno == ENOENT || errno == EAGAIN;
        int code = errno;

        drop_files(dir);
        return later
                   ? FLOW_AGAIN
                   : fail_errno(err, code, "cannot open its files", dir->path);
    }
    if (__atomic_load_n(&dir->world->magic, __ATOMIC_ACQUIRE) != FAKE_MAGIC) {
        drop_files(dir);
        return FLOW_AGAIN;
    }
    join(dir);
    return FLOW_OK;
}

void
flow__fake_dir_leave(struct fake_dir *dir)
{
    drop_files(dir);
    if (dir->alive_fd < 0)
        return;
    remove_file(dir, "world");
    remove_file(dir, "pages");
    remove_file(dir, "alive");
    remove_ports(dir);
    close(dir->alive_fd);
    dir->alive_fd = -1;
    rmdir(dir->path);
}

void
flow__fake_lock(struct fake_world *w)
{
    if (pthread_mutex_lock(&w->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&w->lock);
}

void
flow__fake_unlock(struct fake_world *w)
{
    pthread_mutex_unlock(&w->lock);
}

static void
page_free(struct fake_page *page)
{
    memset(page, 0, sizeof(*page));
}

int32_t
flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                 bool writable)
{
    struct fake_page *page = dir->world->page;
    uint32_t run = 0;

    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        run = page[i].owner == FAKE_NOBODY ? run + 1 : 0;
        if (run < count)
            continue;
        for (uint32_t j = i + 1 - count; j <= i; j++) {
            page[j].owner = dir->member;
            page[j].peer = peer;
            page[j].writable = writable;
        }
        return (int32_t)(i + 1 - count);
    }
    return -1;
}

bool
flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count)
{
    struct fake_page *page = &dir->world->page[first];

    for (uint32_t i = 0; i < count; i++)
        if (page[i].mapper != FAKE_NOBODY)
            return false;
    for (uint32_t i = 0; i < count; i++)
        page_free(&page[i]);
    return true;
}

bool
flow__fake_may_map(const struct fake_dir *dir, uint16_t domid, uint32_t ref,
                   bool writable)
{
    const struct fake_page *page;

    if (ref < VCHAN_REF_MIN || ref - VCHAN_REF_MIN >= FAKE_PAGES)
        return false;
    page = &dir->world->page[ref - VCHAN_REF_MIN];
    return page->owner != FAKE_NOBODY && !page->orphan && page->peer == domid &&
           (page->writable || !writable);
}

void
flow__fake_unmapped(struct fake_world *w, uint32_t ref)
{
    struct fake_page *page = &w->page[ref - VCHAN_REF_MIN];

    page->mapper = FAKE_NOBODY;
    if (page->orphan)
        page_free(page);
}

uint32_t
flow__fake_port_new(struct fake_dir *dir, uint16_t domid, uint16_t peer)
{
    for (uint32_t i = 1; i < FAKE_PORTS; i++) {
        struct fake_port *port = &dir->world->port[i];

        if (port->state != FAKE_FREE)
            continue;
        memset(port, 0, sizeof(*port));
        port->owner = dir->member;
        port->domid = domid;
        port->peer = peer;
        port->state = FAKE_UNBOUND;
        return i;
    }
    return 0;
}

void
flow__fake_port_free(struct fake_world *w, uint32_t port)
{
    struct fake_port *p = &w->port[port];

    /* The other end is told nothing: its port is unbound again, that is all
     * (xen/event_channel.h, EVTCHNOP_close). */
    if (p->state == FAKE_BOUND && w->port[p->remote].remote == port)
        w->port[p->remote].state = FAKE_UNBOUND;
    memset(p, 0, sizeof(*p));
}

static void
bury_port(struct fake_dir *dir, uint32_t port)
{
    struct fake_world *w = dir->world;
    struct fake_port *p = &w->port[port];
    const uint8_t zero = 0;

    if (p->clear_ref != 0 && !w->silent) {
        off_t at = (off_t)(p->clear_ref - VCHAN_REF_MIN) * VCHAN_PAGE_SIZE +
                   p->clear_at;

        (void)!pwrite(dir->pages_fd, &zero, 1, at);
    }
    flow__fake_port_free(w, port);
}

void
flow__fake_bury(struct fake_dir *dir, uint16_t member)
{
    struct fake_world *w = dir->world;

    for (uint32_t i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state != FAKE_FREE && w->port[i].owner == member)
            bury_port(dir, i);
    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        struct fake_page *page = &w->page[i];

        if (page->mapper == member)
            flow__fake_unmapped(w, i + VCHAN_REF_MIN);
        if (page->owner == member) {
            page->orphan = 1;
            if (page->mapper == FAKE_NOBODY)
                page_free(page);
        }
    }
}

struct fake_key *
flow__fake_key_find(struct fake_world *w, const char *base)
{
    for (uint32_t i = 0; i < FAKE_KEYS; i++)
        if (strcmp(w->key[i].base, base) == 0)
            return &w->key[i];
    return NULL;
}
