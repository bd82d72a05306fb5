/* SPDX-License-Identifier: ISC */
#include "stub_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#include <xen/xen.h>

#include "stub_xen.h"

#define NODES   64u
#define HANDLES 64u
#define DOMAINS 16u

static uint16_t here;
static uint64_t generation = 1;
static uint64_t introduced[DOMAINS]; /* 0: not yet */

void
stub_enter(uint16_t domid)
{
    here = domid;
}

void
stub_introduce(uint16_t domid)
{
    introduced[domid] = ++generation;
}

uint16_t
stub_here(void)
{
    return here;
}

bool
stub_is_introduced(uint32_t domid)
{
    return domid < DOMAINS && introduced[domid] != 0;
}

static struct node {
    char path[256]; /* empty: free */
    char value[32];
    uint16_t owner;
    uint16_t reader;
    uint64_t set_at; /* generation of its permissions */
} node[NODES];

struct xs_handle {
    int fd;
    int pipe[2];
    uint16_t domid;
    char watched[256];
    unsigned queued;
};

static struct xs_handle *handle[HANDLES];

static void
fire(const char *path)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (handle[i] != NULL && strcmp(handle[i]->watched, path) == 0) {
            if (handle[i]->queued++ == 0)
                (void)!write(handle[i]->pipe[1], "!", 1);
        }
}

unsigned
stub_queued(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < HANDLES; i++)
        sum += handle[i] != NULL ? handle[i]->queued : 0;
    return sum;
}

void
stub_migrate(uint16_t from, uint16_t to)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (handle[i] != NULL && handle[i]->domid == from)
            handle[i]->domid = to;
}

static struct node *
node_find(const char *path)
{
    for (unsigned i = 0; i < NODES; i++)
        if (strcmp(node[i].path, path) == 0)
            return &node[i];
    return NULL;
}

/* Makes the nodes above it too, which belong to the owner. */
static struct node *
node_make(const char *path, uint16_t owner)
{
    char above[256];
    struct node *n = node_find(path);

    if (n != NULL)
        return n;
    snprintf(above, sizeof(above), "%s", path);
    *strrchr(above, '/') = '\0';
    if (above[0] != '\0')
        node_make(above, owner);
    n = node_find("");
    if (n == NULL)
        abort();
    snprintf(n->path, sizeof(n->path), "%s", path);
    n->value[0] = '\0';
    n->owner = n->reader = owner;
    n->set_at = ++generation;
    return n;
}

void
stub_write(const char *path, const char *text, uint16_t owner, uint16_t reader)
{
    struct node *n = node_make(path, owner);

    snprintf(n->value, sizeof(n->value), "%s", text);
    n->owner = owner;
    n->reader = reader;
    n->set_at = ++generation;
    fire(path);
}

const char *
stub_value(const char *path)
{
    struct node *n = node_find(path);

    return n != NULL ? n->value : NULL;
}

static bool
is_below(const char *path, const char *above)
{
    size_t len = strlen(above);

    return strncmp(path, above, len) == 0 && path[len] == '/';
}

unsigned
stub_nodes(const char *path)
{
    unsigned count = 0;

    for (unsigned i = 0; i < NODES; i++)
        count += is_below(node[i].path, path);
    return count;
}

struct xs_handle *
xs_open(unsigned long flags)
{
    struct xs_handle *x = calloc(1, sizeof(*x));

    (void)flags;
    x->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    x->pipe[0] = x->pipe[1] = -1;
    x->domid = here;
    for (unsigned i = 0; i < HANDLES; i++)
        if (handle[i] == NULL) {
            handle[i] = x;
            return x;
        }
    abort();
}

void
xs_close(struct xs_handle *x)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (handle[i] == x)
            handle[i] = NULL;
    close(x->fd);
    if (x->pipe[0] >= 0) {
        close(x->pipe[0]);
        close(x->pipe[1]);
    }
    free(x);
}

void
xs_daemon_destroy_postfork(struct xs_handle *x)
{
    xs_close(x);
}

int
xs_fileno(struct xs_handle *x)
{
    if (x->pipe[0] < 0 && pipe2(x->pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    return x->pipe[0];
}

bool
xs_watch(struct xs_handle *x, const char *path, const char *token)
{
    (void)token;
    snprintf(x->watched, sizeof(x->watched), "%s", path);
    fire(path);
    return true;
}

char **
xs_check_watch(struct xs_handle *x)
{
    char byte;

    if (x->queued == 0) {
        errno = EAGAIN;
        return NULL;
    }
    if (--x->queued == 0)
        (void)!read(x->pipe[0], &byte, 1);
    return calloc(2, sizeof(char *));
}

/* As xenstored, ignore permissions that are older than the domain. */
static bool
may_read(const struct xs_handle *x, const struct node *n)
{
    if (x->domid == 0 || n->owner == x->domid)
        return true;
    return n->reader == x->domid && x->domid < DOMAINS &&
           introduced[x->domid] != 0 && introduced[x->domid] <= n->set_at;
}

void *
xs_read(struct xs_handle *x, xs_transaction_t t, const char *path,
        unsigned int *len)
{
    struct node *n = node_find(path);
    char *text = malloc(32);

    (void)t;
    if (strcmp(path, "domid") == 0)
        snprintf(text, 32, "%u", x->domid);
    else if (n != NULL && may_read(x, n))
        snprintf(text, 32, "%s", n->value);
    else {
        errno = n == NULL ? ENOENT : EACCES;
        free(text);
        return NULL;
    }
    if (len != NULL)
        *len = (unsigned)strlen(text);
    return text;
}

bool
xs_write(struct xs_handle *x, xs_transaction_t t, const char *path,
         const void *data, unsigned int len)
{
    struct node *n = node_make(path, x->domid);

    (void)t;
    snprintf(n->value, sizeof(n->value), "%.*s", (int)len, (const char *)data);
    fire(path);
    return true;
}

bool
xs_set_permissions(struct xs_handle *x, xs_transaction_t t, const char *path,
                   struct xs_permissions *perms, unsigned int count)
{
    struct node *n = node_find(path);

    (void)x;
    (void)t;
    if (n == NULL || count != 2)
        return false;
    n->owner = (uint16_t)perms[0].id;
    n->reader = (uint16_t)perms[1].id;
    n->set_at = ++generation;
    fire(path);
    return true;
}

struct xs_permissions *
xs_get_permissions(struct xs_handle *x, xs_transaction_t t, const char *path,
                   unsigned int *count)
{
    struct node *n = node_find(path);
    struct xs_permissions *perms;

    (void)t;
    if (n == NULL || !may_read(x, n)) {
        errno = n == NULL ? ENOENT : EACCES;
        return NULL;
    }
    perms = calloc(2, sizeof(*perms));
    perms[0].id = n->owner;
    perms[1].id = n->reader;
    perms[1].perms = XS_PERM_READ;
    *count = 2;
    return perms;
}

bool
xs_rm(struct xs_handle *x, xs_transaction_t t, const char *path)
{
    struct node *n = node_find(path);

    (void)x;
    (void)t;
    if (n != NULL)
        memset(n, 0, sizeof(*n));
    fire(path);
    return n != NULL;
}

char **
xs_directory(struct xs_handle *x, xs_transaction_t t, const char *path,
             unsigned int *count)
{
    (void)x;
    (void)t;
    if (node_find(path) == NULL) {
        errno = ENOENT;
        return NULL;
    }
    *count = stub_nodes(path);
    return calloc(1, sizeof(char *));
}

xs_transaction_t
xs_transaction_start(struct xs_handle *x)
{
    (void)x;
    return 1;
}

bool
xs_transaction_end(struct xs_handle *x, xs_transaction_t t, bool abort_it)
{
    (void)x;
    (void)t;
    (void)abort_it;
    return true;
}

bool
xs_is_domain_introduced(struct xs_handle *x, unsigned int domid)
{
    if (x->domid != 0)
        return false;
    return domid == DOMID_SELF || (domid < DOMAINS && introduced[domid] != 0);
}

void
stub_store_reset(void)
{
    memset(node, 0, sizeof(node));
    memset(introduced, 0, sizeof(introduced));
}
