/* SPDX-License-Identifier: ISC */
#include "tests/unikernel/xen_store.h"

/* An error of the test ends it in a release build too. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#define NODES        128u
#define WATCHES      64u
#define PERMS        4u
#define TRANSACTIONS 8u
#define NAME_MAX_LEN 256u
#define OUT_MAX      65536u

struct perm {
    char letter;
    uint16_t domid;
};

struct node {
    bool used;
    char path[NAME_MAX_LEN];
    uint8_t value[256];
    size_t len;
    struct perm perm[PERMS]; /* the first is the owner's */
    unsigned perms;
};

/* All nodes; a transaction has a copy. */
struct tree {
    struct node node[NODES];
};

struct transaction {
    uint32_t id; /* 0: free */
    uint64_t began_at;
    struct tree *tree;
    char changed[64][NAME_MAX_LEN];
    unsigned changes;
};

struct watch {
    struct xen_store_client *client; /* NULL: free */
    char path[NAME_MAX_LEN];
    char token[64];
};

struct xen_store {
    struct tree tree;
    uint64_t commits;
    struct transaction transaction[TRANSACTIONS];
    uint32_t next_id;
    struct watch watch[WATCHES];
    unsigned conflicts;
    unsigned quota;
};

struct xen_store_client {
    struct xen_store *store;
    uint16_t domid;
    struct xenstore_domain_interface *page;
    uint8_t in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    size_t in_len;
    uint8_t out[OUT_MAX];
    size_t out_len;
};

/* One request while it is served. */
struct job {
    struct xen_store_client *c;
    struct xsd_sockmsg head;
    struct tree *tree;
    struct transaction *transaction;
    char path[NAME_MAX_LEN]; /* absolute */
    const uint8_t *rest;     /* after the path's NUL */
    size_t rest_len;
};

/* --- nodes --------------------------------------------------------------- */

static struct node *
node_find(struct tree *t, const char *path)
{
    for (unsigned i = 0; i < NODES; i++)
        if (t->node[i].used && strcmp(t->node[i].path, path) == 0)
            return &t->node[i];
    return NULL;
}

static bool
is_below(const char *path, const char *above)
{
    size_t len = strlen(above);

    return strncmp(path, above, len) == 0 && path[len] == '/';
}

static bool
may(const struct node *n, uint16_t domid, bool write)
{
    char letter = n->perm[0].letter;

    if (domid == 0 || n->perm[0].domid == domid)
        return true;
    for (unsigned i = 1; i < n->perms; i++)
        if (n->perm[i].domid == domid)
            letter = n->perm[i].letter;
    return letter == 'b' || letter == (write ? 'w' : 'r');
}

/* The nearest node above that exists. */
static struct node *
node_above(struct tree *t, const char *path)
{
    char above[NAME_MAX_LEN];
    struct node *n = NULL;
    char *slash;

    snprintf(above, sizeof(above), "%s", path);
    while (n == NULL && (slash = strrchr(above, '/')) != NULL) {
        *slash = '\0';
        n = node_find(t, above);
    }
    return n;
}

static unsigned
nodes_of(const struct tree *t, uint16_t domid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < NODES; i++)
        count += t->node[i].used && t->node[i].perm[0].domid == domid;
    return count;
}

/* Makes a node and what is missing above it; 0 or an errno. */
static int
node_make(struct xen_store *s, struct tree *t, const char *path, uint16_t domid,
          struct node **ret_node)
{
    struct node *above = node_above(t, path);
    struct node *n = NULL;

    if (above == NULL ? domid != 0 : !may(above, domid, true))
        return EACCES;
    for (const char *end = path; end != NULL;) {
        char part[NAME_MAX_LEN];

        end = strchr(end + 1, '/');
        snprintf(part, sizeof(part), "%.*s",
                 end != NULL ? (int)(end - path) : (int)strlen(path), path);
        if (node_find(t, part) != NULL)
            continue;
        if (domid != 0 && s->quota != 0 && nodes_of(t, domid) >= s->quota)
            return EDQUOT;
        n = NULL;
        for (unsigned i = 0; i < NODES && n == NULL; i++)
            if (!t->node[i].used)
                n = &t->node[i];
        if (n == NULL)
            return ENOSPC;
        memset(n, 0, sizeof(*n));
        n->used = true;
        strcpy(n->path, part);
        n->perms = 1;
        n->perm[0].letter = 'n';
        n->perm[0].domid = domid;
    }
    *ret_node = node_find(t, path);
    return 0;
}

static void
node_remove(struct tree *t, const char *path)
{
    for (unsigned i = 0; i < NODES; i++)
        if (strcmp(t->node[i].path, path) == 0 ||
            is_below(t->node[i].path, path))
            t->node[i].used = false;
}

/* --- messages ------------------------------------------------------------ */

static void
put(struct xen_store_client *c, const void *data, size_t len)
{
    assert(c->out_len + len <= OUT_MAX);
    if (len > 0)
        memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

static void
reply(struct job *j, uint32_t type, const void *data, size_t len)
{
    struct xsd_sockmsg head = { type, j->head.req_id, j->head.tx_id,
                                (uint32_t)len };

    put(j->c, &head, sizeof(head));
    put(j->c, data, len);
}

static void
fail(struct job *j, int code)
{
    const char *name = code == EDQUOT ? "EQUOTA" : "EINVAL";

    for (unsigned i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
        if (xsd_errors[i].errstring != NULL && xsd_errors[i].errnum == code)
            name = xsd_errors[i].errstring;
    reply(j, XS_ERROR, name, strlen(name) + 1);
}

static void
done(struct job *j)
{
    reply(j, j->head.type, "OK", 3);
}

static void
event(struct watch *w, const char *path)
{
    struct xsd_sockmsg head = {
        XS_WATCH_EVENT, 0, 0, (uint32_t)(strlen(path) + strlen(w->token) + 2)
    };

    put(w->client, &head, sizeof(head));
    put(w->client, path, strlen(path) + 1);
    put(w->client, w->token, strlen(w->token) + 1);
}

static void
fire(struct xen_store *s, const char *path)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        struct watch *w = &s->watch[i];

        if (w->client != NULL &&
            (strcmp(w->path, path) == 0 || is_below(path, w->path) ||
             is_below(w->path, path)))
            event(w, path);
    }
}

static void
changed(struct job *j, const char *path)
{
    if (j->transaction == NULL) {
        j->c->store->commits++;
        fire(j->c->store, path);
    } else {
        assert(j->transaction->changes < 64);
        strcpy(j->transaction->changed[j->transaction->changes++], path);
    }
}

/* --- requests ------------------------------------------------------------ */

static void
serve_begin(struct job *j)
{
    struct xen_store *s = j->c->store;
    char text[16];

    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        struct transaction *t = &s->transaction[i];

        if (t->id != 0)
            continue;
        t->tree = malloc(sizeof(*t->tree));
        assert(t->tree != NULL);
        *t->tree = s->tree;
        t->id = ++s->next_id;
        t->began_at = s->commits;
        t->changes = 0;
        snprintf(text, sizeof(text), "%u", t->id);
        reply(j, XS_TRANSACTION_START, text, strlen(text) + 1);
        return;
    }
    fail(j, ENOSPC);
}

static void
serve_end(struct job *j, bool commit)
{
    struct transaction *t = j->transaction;
    struct xen_store *s = j->c->store;
    bool met = t != NULL && (t->began_at != s->commits || s->conflicts > 0);

    if (t == NULL) {
        fail(j, ENOENT);
        return;
    }
    if (commit && !met) {
        s->tree = *t->tree;
        s->commits++;
    }
    free(t->tree);
    t->id = 0;
    if (commit && met) {
        s->conflicts -= s->conflicts > 0;
        fail(j, EAGAIN);
        return;
    }
    done(j);
    for (unsigned i = 0; commit && i < t->changes; i++)
        fire(s, t->changed[i]);
}

static void
serve_write(struct job *j)
{
    struct node *n = node_find(j->tree, j->path);
    int code = 0;

    if (n == NULL)
        code = node_make(j->c->store, j->tree, j->path, j->c->domid, &n);
    else if (!may(n, j->c->domid, true))
        code = EACCES;
    if (code != 0) {
        fail(j, code);
        return;
    }
    if (j->head.type == XS_WRITE) {
        assert(j->rest_len <= sizeof(n->value));
        memcpy(n->value, j->rest, j->rest_len);
        n->len = j->rest_len;
    }
    done(j);
    changed(j, j->path);
}

static void
serve_read(struct job *j, const struct node *n)
{
    char list[XENSTORE_PAYLOAD_MAX];
    size_t len = 0;

    if (j->head.type == XS_READ) {
        reply(j, XS_READ, n->value, n->len);
        return;
    }
    if (j->head.type == XS_GET_PERMS)
        for (unsigned i = 0; i < n->perms; i++)
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%c%u",
                                    n->perm[i].letter, n->perm[i].domid) +
                   1;
    else
        for (unsigned i = 0; i < NODES; i++) {
            const struct node *it = &j->tree->node[i];

            if (it->used && is_below(it->path, n->path) &&
                strchr(it->path + strlen(n->path) + 1, '/') == NULL)
                len += (size_t)snprintf(list + len, sizeof(list) - len, "%s",
                                        it->path + strlen(n->path) + 1) +
                       1;
        }
    reply(j, j->head.type, list, len);
}

static void
serve_set_perms(struct job *j, struct node *n)
{
    const char *at = (const char *)j->rest;
    size_t left = j->rest_len;

    if (j->c->domid != 0 && n->perm[0].domid != j->c->domid) {
        fail(j, EACCES);
        return;
    }
    n->perms = 0;
    while (left > 0 && n->perms < PERMS) {
        n->perm[n->perms].letter = at[0];
        n->perm[n->perms++].domid = (uint16_t)atoi(at + 1);
        left -= strlen(at) + 1;
        at += strlen(at) + 1;
    }
    done(j);
    changed(j, j->path);
}

static void
serve_watch(struct job *j)
{
    struct xen_store *s = j->c->store;
    const char *token = (const char *)j->rest;

    if (strcmp(j->path, "@releaseDomain") == 0 && j->c->domid != 0) {
        fail(j, EACCES);
        return;
    }
    for (unsigned i = 0; i < WATCHES; i++) {
        struct watch *w = &s->watch[i];

        if (j->head.type == XS_UNWATCH) {
            if (w->client != j->c || strcmp(w->path, j->path) != 0 ||
                strcmp(w->token, token) != 0)
                continue;
            w->client = NULL;
            done(j);
            return;
        }
        if (w->client != NULL)
            continue;
        w->client = j->c;
        strcpy(w->path, j->path);
        snprintf(w->token, sizeof(w->token), "%s", token);
        done(j);
        event(w, w->path);
        return;
    }
    fail(j, j->head.type == XS_WATCH ? ENOSPC : ENOENT);
}

static void
serve_node(struct job *j)
{
    struct node *n = node_find(j->tree, j->path);

    if (n == NULL) {
        fail(j, ENOENT);
    } else if (j->head.type == XS_RM) {
        if (!may(n, j->c->domid, true)) {
            fail(j, EACCES);
            return;
        }
        node_remove(j->tree, j->path);
        done(j);
        changed(j, j->path);
    } else if (j->head.type == XS_SET_PERMS) {
        serve_set_perms(j, n);
    } else if (!may(n, j->c->domid, false)) {
        fail(j, EACCES);
    } else {
        serve_read(j, n);
    }
}

static void
serve(struct job *j)
{
    switch (j->head.type) {
    case XS_TRANSACTION_START:
        serve_begin(j);
        break;
    case XS_WRITE:
    case XS_MKDIR:
        serve_write(j);
        break;
    case XS_WATCH:
    case XS_UNWATCH:
        serve_watch(j);
        break;
    case XS_READ:
    case XS_DIRECTORY:
    case XS_GET_PERMS:
    case XS_SET_PERMS:
    case XS_RM:
        serve_node(j);
        break;
    default:
        fail(j, ENOSYS);
        break;
    }
}

/* A path is absolute or below the domain's own. */
static void
set_path(struct job *j, const char *path)
{
    if (path[0] == '/' || path[0] == '@')
        snprintf(j->path, sizeof(j->path), "%s", path);
    else
        snprintf(j->path, sizeof(j->path), "/local/domain/%u/%s", j->c->domid,
                 path);
}

static void
serve_message(struct xen_store_client *c)
{
    struct job j = { .c = c, .tree = &c->store->tree };
    const uint8_t *body = c->in + sizeof(j.head);
    const uint8_t *end;

    memcpy(&j.head, c->in, sizeof(j.head));
    end = memchr(body, '\0', j.head.len);
    assert(end != NULL);
    j.rest = end + 1;
    j.rest_len = j.head.len - (size_t)(j.rest - body);
    for (unsigned i = 0; j.head.tx_id != 0 && i < TRANSACTIONS; i++)
        if (c->store->transaction[i].id == j.head.tx_id) {
            j.transaction = &c->store->transaction[i];
            j.tree = j.transaction->tree;
        }
    if (j.head.type == XS_TRANSACTION_END) {
        serve_end(&j, body[0] == 'T');
        return;
    }
    if (j.head.tx_id != 0 && j.transaction == NULL) {
        fail(&j, ENOENT);
        return;
    }
    set_path(&j, (const char *)body);
    serve(&j);
}

void
xen_store_serve(struct xen_store_client *c)
{
    struct xenstore_domain_interface *page = c->page;
    uint32_t prod = __atomic_load_n(&page->req_prod, __ATOMIC_ACQUIRE);
    struct xsd_sockmsg head;

    assert(prod - page->req_cons <= XENSTORE_RING_SIZE);
    while (page->req_cons != prod) {
        assert(c->in_len < sizeof(c->in));
        c->in[c->in_len++] =
            (uint8_t)page->req[page->req_cons % XENSTORE_RING_SIZE];
        __atomic_store_n(&page->req_cons, page->req_cons + 1, __ATOMIC_RELEASE);
        if (c->in_len < sizeof(head))
            continue;
        memcpy(&head, c->in, sizeof(head));
        assert(head.len <= XENSTORE_PAYLOAD_MAX);
        if (c->in_len == sizeof(head) + head.len) {
            serve_message(c);
            c->in_len = 0;
        }
    }
}

bool
xen_store_flush(struct xen_store_client *c)
{
    struct xenstore_domain_interface *page = c->page;
    uint32_t filled =
        page->rsp_prod - __atomic_load_n(&page->rsp_cons, __ATOMIC_ACQUIRE);
    size_t n = 0;

    assert(filled <= XENSTORE_RING_SIZE);
    for (; n < c->out_len && filled < XENSTORE_RING_SIZE; n++, filled++) {
        page->rsp[page->rsp_prod % XENSTORE_RING_SIZE] = (char)c->out[n];
        __atomic_store_n(&page->rsp_prod, page->rsp_prod + 1, __ATOMIC_RELEASE);
    }
    memmove(c->out, c->out + n, c->out_len - n);
    c->out_len -= n;
    return n > 0;
}

/* --- the store ----------------------------------------------------------- */

struct xen_store *
xen_store_new(void)
{
    struct xen_store *s = calloc(1, sizeof(*s));

    assert(s != NULL);
    return s;
}

void
xen_store_free(struct xen_store *s)
{
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        if (s->transaction[i].id != 0)
            free(s->transaction[i].tree);
    free(s);
}

void
xen_store_put(struct xen_store *s, const char *path, const char *value)
{
    struct node *n = NULL;

    if (value == NULL) {
        node_remove(&s->tree, path);
    } else {
        if ((n = node_find(&s->tree, path)) == NULL)
            assert(node_make(s, &s->tree, path, 0, &n) == 0);
        n->len = strlen(value);
        memcpy(n->value, value, n->len);
        n->perm[0].letter = 'r';
    }
    s->commits++;
    fire(s, path);
}

void
xen_store_give(struct xen_store *s, const char *path, uint16_t domid)
{
    struct node *n = node_find(&s->tree, path);

    assert(n != NULL);
    n->perm[0].letter = 'n';
    n->perm[0].domid = domid;
}

struct xen_store_client *
xen_store_client_new(struct xen_store *s, uint16_t domid, void *page)
{
    struct xen_store_client *c = calloc(1, sizeof(*c));
    char path[NAME_MAX_LEN];
    char text[8];

    assert(c != NULL);
    c->store = s;
    c->domid = domid;
    c->page = page;
    /* An earlier kernel has used the rings; one wraps soon. */
    c->page->req_cons = c->page->req_prod = 0xffffff80;
    c->page->rsp_cons = c->page->rsp_prod = 77;
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    xen_store_put(s, path, "");
    snprintf(path, sizeof(path), "/local/domain/%u/data", domid);
    xen_store_put(s, path, "");
    xen_store_give(s, path, domid);
    snprintf(path, sizeof(path), "/local/domain/%u/domid", domid);
    snprintf(text, sizeof(text), "%u", domid);
    xen_store_put(s, path, text);
    return c;
}

void
xen_store_client_free(struct xen_store_client *c)
{
    free(c);
}

void
xen_store_conflicts(struct xen_store *s, unsigned count)
{
    s->conflicts = count;
}

void
xen_store_quota(struct xen_store *s, unsigned count)
{
    s->quota = count;
}

unsigned
xen_store_nodes(const struct xen_store *s, const char *below)
{
    unsigned count = 0;

    for (unsigned i = 0; i < NODES; i++)
        count += s->tree.node[i].used && is_below(s->tree.node[i].path, below);
    return count;
}
