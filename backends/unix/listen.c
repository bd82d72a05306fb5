/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <flow/port.h>
#include <flow/posix.h>
#include <flow/unix.h>

#include "backends/posix/acceptor.h"
#include "backends/posix/fd_io.h"
#include "backends/unix/unix.h"

/*
 * Listening on a UNIX socket.
 *
 * - The file of a socket without a listener is stale, and is replaced.  Between
 *   bind(2) and listen(2) a new socket looks stale too, so both happen under a
 *   lock of the directory; without the lock nothing is replaced.
 * - The file is removed by the process that made it, and only while the path
 *   names the same file (device and inode).
 * - The mode is set before listen(2): no client can connect until then.
 */

/* The file of a bound socket, since its path may name another one later. */
struct listen_file {
    bool is_there; /* false: an abstract name. */
    dev_t dev;
    ino_t ino;
};

struct unix_listener {
    struct flow__acceptor acceptor;
    struct listen_file file;
    uint32_t process; /* The one that removes the file. */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static enum flow_status
listen_make_flow(struct flow__acceptor *a, int fd,
                 const union flow__sockaddr *peer, socklen_t peer_len,
                 struct flow **ret_flow)
{
    return flow__unix_accepted(a->base.env, fd, peer, peer_len, ret_flow);
}

static void
listen_remove_file(const struct listen_file *file, const char *path)
{
    struct stat st;

    if (file->is_there && lstat(path, &st) == 0 && st.st_dev == file->dev &&
        st.st_ino == file->ino)
        (void)unlink(path);
}

static void
listen_close(struct flow_listener *base)
{
    struct unix_listener *l = (struct unix_listener *)base;

    /* A child that inherited the listener leaves the file to its parent. */
    if (l->process == flow_process())
        listen_remove_file(&l->file, l->path);
    flow__acceptor_close(base);
}

static const struct flow_listener_ops unix_listener_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "unix",
    .accept = flow__acceptor_accept,
    .wait = flow__acceptor_wait,
    .close = listen_close,
    .query = flow__acceptor_query,
};

/* Where and how to listen. */
struct listen_place {
    const char *path;
    union flow__sockaddr addr;
    socklen_t len;
    mode_t mode;
    int backlog;
};

/* Whether the socket at the path has no listener. */
static bool
listen_is_stale(const struct listen_place *p)
{
    int fd = flow__fd_socket(AF_UNIX);
    bool stale;

    if (fd < 0)
        return false;
    stale = connect(fd, &p->addr.any, p->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

/* Opens and locks the directory of a path, so that two processes which both
 * find a stale socket do not remove each other's new one.  -1: another process
 * has the lock, or the directory cannot be opened. */
static int
listen_lock_directory(const char *path)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    int fd;

    memcpy(dir, path, len);
    dir[len] = '\0';
    if (len == 0)
        memcpy(dir, slash != NULL ? "/" : ".", 2);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool
listen_is_file(const struct listen_place *p)
{
    return p->path[0] != '@';
}

/* The file of a socket that was just bound. */
static struct listen_file
listen_identify(const struct listen_place *p)
{
    struct listen_file file = { .is_there = false };
    struct stat st;

    if (listen_is_file(p) && lstat(p->path, &st) == 0) {
        file.is_there = true;
        file.dev = st.st_dev;
        file.ino = st.st_ino;
    }
    return file;
}

/* 0 or an errno. */
static int
listen_bind_at(int fd, const struct listen_place *p, bool may_replace)
{
    struct stat st;

    if (bind(fd, &p->addr.any, p->len) == 0)
        return 0;
    if (errno != EADDRINUSE || !listen_is_file(p))
        return errno;
    if (lstat(p->path, &st) < 0)
        return EADDRINUSE;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    if (!may_replace || !listen_is_stale(p))
        return EADDRINUSE;
    if (unlink(p->path) < 0 || bind(fd, &p->addr.any, p->len) < 0)
        return errno;
    return 0;
}

/* Binds and listens under the directory's lock; 0 or an errno. */
static int
listen_bind_and_listen(int fd, const struct listen_place *p,
                       struct listen_file *ret_file)
{
    int dir = listen_is_file(p) ? listen_lock_directory(p->path) : -1;
    int code = listen_bind_at(fd, p, dir >= 0);

    if (code == 0) {
        *ret_file = listen_identify(p);
        if ((listen_is_file(p) && chmod(p->path, p->mode) < 0) ||
            listen(fd, p->backlog) < 0)
            code = errno;
        if (code != 0)
            listen_remove_file(ret_file, p->path);
    }
    if (dir >= 0)
        close(dir);
    return code;
}

static enum flow_status
listen_refuse(struct flow_error *err, const char *path, const char *text)
{
    flow_error_set(err, FLOW_E_INVAL, "unix", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, path);
    return FLOW_E_INVAL;
}

static enum flow_status
listen_open_socket(const struct listen_place *p, int *ret_fd,
                   struct listen_file *ret_file, struct flow_error *err)
{
    int fd = flow__fd_socket(AF_UNIX);
    int code = fd < 0 ? errno : listen_bind_and_listen(fd, p, ret_file);
    enum flow_status st;

    if (code == 0) {
        *ret_fd = fd;
        return FLOW_OK;
    }
    if (fd >= 0)
        close(fd);
    st = flow_posix_error(err, "unix", code, "listening failed", p->path);
    /* A stale socket would have been replaced: this is another kind of file. */
    if (code == EEXIST && err != NULL)
        err->text = "a file that is not a socket has this name";
    return st;
}

static enum flow_status
listen_parse_place(const char *path, const struct flow_unix_options *opt,
                   struct listen_place *ret_place, struct flow_error *err)
{
    struct listen_place p = { .path = path };

    if (opt->backlog < 0)
        return listen_refuse(err, path, "the backlog is negative");
    if ((opt->mode & ~0777u) != 0)
        return listen_refuse(err, path, "the mode has bits above 0777");
    p.len = flow__unix_address(path, &p.addr, err);
    if (p.len == 0)
        return FLOW_E_INVAL;
    p.mode = (mode_t)(opt->mode != 0 ? opt->mode : 0600u);
    p.backlog = opt->backlog > 0 ? opt->backlog : FLOW__ACCEPTOR_BACKLOG;
    *ret_place = p;
    return FLOW_OK;
}

/* See <flow/unix.h>. */
enum flow_status
flow_unix_listen(const struct flow_env *env, const char *path,
                 const struct flow_unix_options *opt,
                 struct flow_listener **ret_listener,
                 struct flow_error *ret_err)
{
    static const struct flow_unix_options defaults;
    struct unix_listener *l;
    enum flow_status st;
    struct listen_file file;
    struct listen_place p;
    int fd = -1;

    st = listen_parse_place(path, opt != NULL ? opt : &defaults, &p, ret_err);
    if (st == FLOW_OK)
        st = listen_open_socket(&p, &fd, &file, ret_err);
    if (st != FLOW_OK)
        return st;

    l = flow__acceptor_new(env != NULL ? env : flow_env_default(),
                           &unix_listener_ops, sizeof(*l), fd);
    if (l == NULL) {
        close(fd);
        listen_remove_file(&file, path);
        return flow_error_set(ret_err, FLOW_E_NOMEM, "unix", FLOW_DOMAIN_NONE,
                              0, "no memory for a listener");
    }
    l->acceptor.make = listen_make_flow;
    memcpy(l->path, path, strlen(path) + 1);
    l->file = file;
    l->process = flow_process();
    *ret_listener = &l->acceptor.base;
    return FLOW_OK;
}
