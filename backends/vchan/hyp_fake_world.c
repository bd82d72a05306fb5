/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_world.h"
#include "backends/vchan/atomic.h"

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
#include <sys/un.h>
#include <unistd.h>

/* Bytes for a name in the directory. */
#define NAME_MAX_HERE (FAKE_DIR + 16)

/* Numbers of members to try, and times to try for the lock, in milliseconds. */
#define FAKE_TRIES    65536u
#define FAKE_PATIENCE 1000u

/* Dead members that one call cleans up: the tables may be full of them. */
#define FAKE_BURIALS 64u

static enum flow_status
world_fail_errno(struct flow_error *err, int code, const char *text,
                 const char *detail)
{
    flow_error_set(err, FLOW_E_SYS, "vchan+fake", FLOW_DOMAIN_ERRNO, code,
                   text);
    flow_error_set_detail(err, detail);
    return FLOW_E_SYS;
}

static void
world_name_in(const struct fake_dir *dir, const char *name,
              char ret_path[NAME_MAX_HERE])
{
    snprintf(ret_path, NAME_MAX_HERE, "%s/%s", dir->path, name);
}

static int
world_member_socket(const struct fake_dir *dir, uint32_t member,
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

static bool
world_member_lives(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    bool lives;
    int fd;

    if (member == dir->member)
        return true;
    fd = world_member_socket(dir, member, &addr);
    if (fd < 0)
        return true; /* unknown; nothing of it is taken away */
    /* A full backlog (EAGAIN) belongs to a living listener. */
    lives = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ||
            errno == EAGAIN;
    close(fd);
    return lives;
}

/* Takes a member's number, which must be free; -1 with errno. */
static int
world_member_declare(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    int fd = world_member_socket(dir, member, &addr);
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

static void
world_member_remove(const struct fake_dir *dir, uint32_t member)
{
    struct sockaddr_un addr;
    int fd = world_member_socket(dir, member, &addr);

    unlink(addr.sun_path);
    if (fd >= 0)
        close(fd);
}

static void
world_remove_file(const struct fake_dir *dir, const char *name)
{
    char path[NAME_MAX_HERE];

    world_name_in(dir, name, path);
    unlink(path);
}

/* Sockets of channels that were not closed, and of members that died. */
static void
world_remove_sockets(const struct fake_dir *dir)
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
world_open_files(struct fake_dir *dir, int flags)
{
    char path[NAME_MAX_HERE];
    struct stat st;
    void *map;
    int fd;

    world_name_in(dir, "pages", path);
    dir->pages_fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (dir->pages_fd < 0)
        return false;
    world_name_in(dir, "world", path);
    dir->world_fd = fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return false;
    /* The pages are a sparse file: only what is used takes memory. */
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
world_drop_files(struct fake_dir *dir)
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
                       "the directory's name is empty or above 87 bytes");
        flow_error_set_detail(err, path);
        return FLOW_E_INVAL;
    }
    memcpy(dir->path, path, strlen(path) + 1);
    pthread_mutex_init(&dir->lock, NULL);
    return FLOW_OK;
}

/*
 * Takes an unused number.  The counter in the world is only where the search
 * begins: a number is free if the kernel can bind its socket.
 */
static bool
world_member_join(struct fake_dir *dir)
{
    uint32_t hint;

    flow__fake_lock(dir);
    hint = load_relaxed(&dir->world->members);
    for (uint32_t i = 0; i < FAKE_TRIES && dir->alive_fd < 0; i++) {
        uint32_t member = hint + i;

        if (member <= FAKE_MAKER)
            continue;
        dir->alive_fd = world_member_declare(dir, member);
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
        st = world_fail_errno(err, errno, "cannot make the directory", path);
        flow__fake_dir_drop(dir);
        return st;
    }
    if (world_member_lives(dir, FAKE_MAKER)) {
        flow__fake_dir_drop(dir);
        return world_fail_errno(err, EADDRINUSE, "another server is there",
                                path);
    }

    /* What a dead maker left may still be mapped: replaced, not changed. */
    world_remove_file(dir, "world");
    world_remove_file(dir, "pages");
    world_remove_file(dir, "alive");
    world_remove_sockets(dir);
    dir->member = FAKE_MAKER;
    dir->silent = silent;
    dir->alive_fd = world_member_declare(dir, FAKE_MAKER);
    if (dir->alive_fd < 0 || !world_open_files(dir, O_CREAT | O_EXCL)) {
        st = world_fail_errno(err, errno, "cannot make its files", path);
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
    if (!world_member_lives(dir, FAKE_MAKER))
        return FLOW_AGAIN;
    if (!world_open_files(dir, 0)) {
        code = errno;
        world_drop_files(dir);
        return code == ENOENT || code == EAGAIN
                   ? FLOW_AGAIN
                   : world_fail_errno(err, code, "cannot open its files",
                                      dir->path);
    }
    if (load_acquire(&dir->world->magic) != FAKE_MAGIC) {
        world_drop_files(dir);
        return FLOW_AGAIN;
    }
    if (!world_member_join(dir)) {
        code = errno;
        world_drop_files(dir);
        return world_fail_errno(err, code, "cannot join it", dir->path);
    }
    dir->silent = load_relaxed(&dir->world->silent) != 0;
    return FLOW_OK;
}

void
flow__fake_dir_drop(struct fake_dir *dir)
{
    world_drop_files(dir);
    if (dir->alive_fd >= 0)
        close(dir->alive_fd);
    dir->alive_fd = -1;
    pthread_mutex_destroy(&dir->lock);
}

void
flow__fake_dir_kill(struct fake_dir *dir)
{
    /* The maker's socket stands for the directory too, which stays. */
    if (dir->member != FAKE_MAKER)
        shutdown(dir->alive_fd, SHUT_RDWR);
}

static void world_bury(struct fake_dir *dir, uint32_t member);

void
flow__fake_dir_leave(struct fake_dir *dir)
{
    if (dir->member == FAKE_MAKER) {
        world_remove_file(dir, "world");
        world_remove_file(dir, "pages");
        world_remove_file(dir, "alive");
        world_remove_sockets(dir);
        rmdir(dir->path);
    } else if (dir->world != NULL) {
        flow__fake_lock(dir);
        world_bury(dir, dir->member);
        flow__fake_unlock(dir);
    }
    flow__fake_dir_drop(dir);
}

void
flow__fake_lock(struct fake_dir *dir)
{
    pthread_mutex_lock(&dir->lock);
    while (flock(dir->world_fd, LOCK_EX | LOCK_NB) != 0) {
        if (dir->impatient >= FAKE_PATIENCE)
            return;
        dir->impatient++;
        poll(NULL, 0, 1);
    }
    dir->impatient = 0;
}

void
flow__fake_unlock(struct fake_dir *dir)
{
    flock(dir->world_fd, LOCK_UN);
    pthread_mutex_unlock(&dir->lock);
}

static void
world_page_free(struct fake_page *page)
{
    memset(page, 0, sizeof(*page));
}

/* A free run of pages in the tables; its first index, or -1. */
static int32_t
world_free_run(const struct fake_world *w, uint32_t count)
{
    uint32_t run = 0;

    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        run = w->page[i].owner == FAKE_NOBODY ? run + 1 : 0;
        if (run == count)
            return (int32_t)(i + 1 - count);
    }
    return -1;
}

static void world_bury_dead(struct fake_dir *dir);

int32_t
flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                 bool writable)
{
    int32_t first = world_free_run(dir->world, count);

    if (first < 0) {
        world_bury_dead(dir);
        first = world_free_run(dir->world, count);
    }
    for (uint32_t i = 0; first >= 0 && i < count; i++) {
        struct fake_page *page = &dir->world->page[(uint32_t)first + i];

        memset(page, 0, sizeof(*page));
        page->owner = dir->member;
        page->peer = peer;
        page->writable = writable;
    }
    return first;
}

bool
flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count)
{
    struct fake_page *page = &dir->world->page[first];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t mapper = load_relaxed(&page[i].mapper);

        if (mapper == FAKE_NOBODY)
            continue;
        if (world_member_lives(dir, mapper))
            return false;
        world_bury(dir, mapper);
    }
    for (uint32_t i = 0; i < count; i++)
        world_page_free(&page[i]);
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
        world_page_free(page);
}

struct fake_port *
flow__fake_port_at(struct fake_world *w, uint32_t port)
{
    return port > 0 && port < FAKE_PORTS ? &w->port[port] : NULL;
}

static uint32_t
world_free_port(const struct fake_world *w)
{
    for (uint32_t i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state == FAKE_FREE)
            return i;
    return 0;
}

uint32_t
flow__fake_port_new(struct fake_dir *dir, uint16_t domid, uint16_t peer)
{
    uint32_t number = world_free_port(dir->world);
    struct fake_port *port;

    if (number == 0) {
        world_bury_dead(dir);
        number = world_free_port(dir->world);
    }
    port = flow__fake_port_at(dir->world, number);
    if (port == NULL)
        return 0;
    memset(port, 0, sizeof(*port));
    port->owner = dir->member;
    port->domid = domid;
    port->peer = peer;
    port->state = FAKE_UNBOUND;
    return number;
}

void
flow__fake_port_free(struct fake_world *w, uint32_t port)
{
    struct fake_port *p = &w->port[port];
    struct fake_port *other = flow__fake_port_at(w, load_relaxed(&p->remote));

    /* The other end is told nothing: its port is unbound again, that is all
     * (xen/event_channel.h, EVTCHNOP_close). */
    if (p->state == FAKE_BOUND && other != NULL && other->remote == port)
        other->state = FAKE_UNBOUND;
    memset(p, 0, sizeof(*p));
}

/* What the kernel does for a port whose owner died. */
static void
world_bury_port(struct fake_dir *dir, uint32_t port)
{
    const struct fake_port *p = &dir->world->port[port];
    uint32_t page = load_relaxed(&p->clear_ref) - VCHAN_REF_MIN;
    uint32_t at = load_relaxed(&p->clear_at);
    const uint8_t zero = 0;

    if (page < FAKE_PAGES && at < VCHAN_PAGE_SIZE && !dir->silent)
        (void)!pwrite(dir->pages_fd, &zero, 1,
                      (off_t)page * VCHAN_PAGE_SIZE + at);
    flow__fake_port_free(dir->world, port);
}

/* What the kernel does for a member that died; then its number is free. */
static void
world_bury(struct fake_dir *dir, uint32_t member)
{
    struct fake_world *w = dir->world;

    for (uint32_t i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state != FAKE_FREE && w->port[i].owner == member)
            world_bury_port(dir, i);
    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        struct fake_page *page = &w->page[i];

        if (page->mapper == member)
            flow__fake_unmapped(w, i + VCHAN_REF_MIN);
        if (page->owner == member) {
            page->orphan = 1;
            if (page->mapper == FAKE_NOBODY)
                world_page_free(page);
        }
    }
    world_member_remove(dir, member);
}

/* Cleans up after a member that a table names, if it is dead. */
static bool
world_bury_if_dead(struct fake_dir *dir, uint32_t member)
{
    if (member == FAKE_NOBODY || world_member_lives(dir, member))
        return false;
    world_bury(dir, member);
    return true;
}

/* Nothing is free: clean up after dead members. */
static void
world_bury_dead(struct fake_dir *dir)
{
    struct fake_world *w = dir->world;
    uint32_t last = dir->member;
    unsigned buried = 0;

    for (uint32_t i = 0; i < FAKE_PAGES + FAKE_PORTS && buried < FAKE_BURIALS;
         i++) {
        uint32_t member =
            load_relaxed(i < FAKE_PAGES ? &w->page[i].owner
                                        : &w->port[i - FAKE_PAGES].owner);

        if (member != last)
            buried += world_bury_if_dead(dir, member);
        last = member;
    }
    for (uint32_t i = 0; i < FAKE_PAGES && buried < FAKE_BURIALS; i++)
        if (w->page[i].orphan)
            buried += world_bury_if_dead(dir, load_relaxed(&w->page[i].mapper));
}

void
flow__fake_port_ended(struct fake_dir *dir, uint32_t port)
{
    struct fake_port *own = &dir->world->port[port];
    uint32_t remote = load_relaxed(&own->remote);
    struct fake_port *other = flow__fake_port_at(dir->world, remote);

    if (own->state == FAKE_BOUND && other != NULL &&
        other->state == FAKE_BOUND && other->remote == port) {
        uint32_t owner = load_relaxed(&other->owner);

        world_bury_port(dir, remote);
        world_bury_if_dead(dir, owner);
    }
    own->state = FAKE_UNBOUND;
    own->remote = 0;
}

struct fake_key *
flow__fake_key_find(struct fake_world *w, const char *base)
{
    for (uint32_t i = 0; i < FAKE_KEYS; i++)
        if (strncmp(w->key[i].base, base, FAKE_BASE) == 0)
            return &w->key[i];
    return NULL;
}

struct fake_key *
flow__fake_key_new(struct fake_dir *dir)
{
    struct fake_world *w = dir->world;
    struct fake_key *key = flow__fake_key_find(w, "");

    if (key != NULL)
        return key;
    /* Keys whose ports are free belong to dead members. */
    world_bury_dead(dir);
    for (uint32_t i = 0; i < FAKE_KEYS; i++) {
        struct fake_port *port =
            flow__fake_port_at(w, load_relaxed(&w->key[i].port));

        if (port == NULL || port->state == FAKE_FREE)
            return &w->key[i];
    }
    return NULL;
}
