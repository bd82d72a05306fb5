/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>

#include "backends/vchan/path.h"
#include "backends/vchan/proto.h"

/* Ports of the FIFO event channel ABI, the larger of the two. */
#define STORE_PORT_MAX 131071u

/* The two keys below a base path. */
#define STORE_KEY_REF  "/ring-ref"
#define STORE_KEY_PORT "/event-channel"
#define STORE_KEY_MAX  (VCHAN_BASE_MAX + 16)

/*
 * Offers in Xen's store: two keys below a base path, and watches of the store.
 *
 * Invariants: the keys of an offer appear and disappear in one transaction.  A
 * client uses an offer only if its port is the same before and after it reads
 * the page's reference, and if the owner of both keys is the server or domain
 * 0.  A key that others have written below our path is never removed.
 *
 * Locks: none of ours; libxenstore serialises the requests of one connection.
 * A watch has a connection of its own, so a request never waits for its events.
 * Threads: any; both directions of a flow may use its watch at once.
 */

struct vchan_watch {
    struct vchan_hyp *hyp;
    struct xs_handle *store;
};

static struct xs_handle *
linux_store_of(struct vchan_hyp *hyp)
{
    return ((struct linux_hyp *)hyp)->store;
}

/* Writes one key that `peer` may read. */
static bool
linux_store_key_write(struct vchan_hyp *hyp, xs_transaction_t t,
                      const char *base, const char *key, uint32_t number,
                      uint16_t peer)
{
    struct xs_permissions perms[2] = {
        { .id = hyp->domid, .perms = XS_PERM_NONE },
        { .id = peer, .perms = XS_PERM_READ },
    };
    char path[STORE_KEY_MAX];
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", number);

    snprintf(path, sizeof(path), "%s%s", base, key);
    return flow__xen.xs_write(linux_store_of(hyp), t, path, text,
                              (unsigned)len) &&
           flow__xen.xs_set_permissions(linux_store_of(hyp), t, path, perms, 2);
}

static enum flow_status
linux_store_publish(struct vchan_hyp *hyp, const char *base, uint16_t peer,
                    uint32_t ref, uint32_t port, struct flow_error *err)
{
    struct xs_handle *store = linux_store_of(hyp);
    enum flow_status st;
    xs_transaction_t t;
    bool ok;

    /* Clients watch event-channel, so it is written last. */
    do {
        t = flow__xen.xs_transaction_start(store);
        if (t == XBT_NULL)
            break;
        ok = linux_store_key_write(hyp, t, base, STORE_KEY_REF, ref, peer) &&
             linux_store_key_write(hyp, t, base, STORE_KEY_PORT, port, peer);
        if (!ok) {
            int code = errno;

            flow__xen.xs_transaction_end(store, t, true);
            errno = code;
            break;
        }
        if (flow__xen.xs_transaction_end(store, t, false))
            return FLOW_OK;
    } while (errno == EAGAIN);
    st = flow__vchan_linux_fail(err, "cannot write to the store",
                                "is the path below our own?");
    flow_error_set_detail(err, base);
    return st;
}

/* Reads one key.  AGAIN: it does not exist or we may not read it yet; E_PROTO:
 * it is not a number; E_SYS with errno: the store does not answer. */
static enum flow_status
linux_store_key_read(struct xs_handle *store, xs_transaction_t t,
                     const char *base, const char *key, uint32_t min,
                     uint32_t max, uint32_t *ret_number)
{
    char path[STORE_KEY_MAX];
    unsigned len = 0;
    bool ok;
    char *text;

    snprintf(path, sizeof(path), "%s%s", base, key);
    text = flow__xen.xs_read(store, t, path, &len);
    if (text == NULL)
        return errno == ENOENT || errno == EACCES ? FLOW_AGAIN : FLOW_E_SYS;
    ok = flow__vchan_number(text, len, min, max, ret_number);
    free(text);
    if (ok)
        return FLOW_OK;
    return len == 0 ? FLOW_AGAIN : FLOW_E_PROTO;
}

static void
linux_store_key_remove(struct xs_handle *store, xs_transaction_t t,
                       const char *base, const char *key)
{
    char path[STORE_KEY_MAX];

    snprintf(path, sizeof(path), "%s%s", base, key);
    flow__xen.xs_rm(store, t, path);
}

/* Removes a node without children; false if it has any. */
static bool
linux_store_empty_remove(struct xs_handle *store, xs_transaction_t t,
                         const char *path)
{
    unsigned count = 0;
    char **rest = flow__xen.xs_directory(store, t, path, &count);
    bool empty = rest != NULL && count == 0;

    free(rest);
    return empty && flow__xen.xs_rm(store, t, path);
}

/* Removes the base if it is empty and, if the path was made from a name, the
 * two nodes above it, which only vchan libraries use. */
static void
linux_store_base_remove(struct vchan_hyp *hyp, xs_transaction_t t,
                        const char *base)
{
    char path[VCHAN_BASE_MAX];
    size_t keep;

    snprintf(path, sizeof(path), "/local/domain/%u/data/vchan", hyp->domid);
    keep = strlen(path);
    if (strncmp(base, path, keep) != 0 || base[keep] != '/')
        keep = strlen(base);
    snprintf(path, sizeof(path), "%s", base);
    while (strlen(path) >= keep &&
           linux_store_empty_remove(linux_store_of(hyp), t, path))
        *strrchr(path, '/') = '\0';
}

/* Removes the keys of an offer and the nodes that are empty after that.  False
 * if the offer is not in the store. */
static bool
linux_store_keys_remove(struct vchan_hyp *hyp, xs_transaction_t t,
                        const char *base, uint32_t port)
{
    struct xs_handle *store = linux_store_of(hyp);
    uint32_t there = 0;

    if (linux_store_key_read(store, t, base, STORE_KEY_PORT, 1, STORE_PORT_MAX,
                             &there) != FLOW_OK ||
        there != port)
        return false;
    linux_store_key_remove(store, t, base, STORE_KEY_PORT);
    linux_store_key_remove(store, t, base, STORE_KEY_REF);
    linux_store_base_remove(hyp, t, base);
    return true;
}

static void
linux_store_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    struct xs_handle *store = linux_store_of(hyp);
    xs_transaction_t t;
    bool ours;

    do {
        t = flow__xen.xs_transaction_start(store);
        if (t == XBT_NULL)
            return;
        ours = linux_store_keys_remove(hyp, t, base, port);
    } while (!flow__xen.xs_transaction_end(store, t, !ours) && errno == EAGAIN);
}

/*
 * OK if the owner of a key is the server or domain 0, which may write anything
 * in the store.  The server may let other domains write below its path; we do
 * not trust those.  AGAIN: the key was removed.
 */
static enum flow_status
linux_store_key_check_owner(struct xs_handle *store, const char *base,
                            const char *key, uint16_t server)
{
    struct xs_permissions *perms;
    char path[STORE_KEY_MAX];
    unsigned count = 0;
    bool good;

    snprintf(path, sizeof(path), "%s%s", base, key);
    perms = flow__xen.xs_get_permissions(store, XBT_NULL, path, &count);
    if (perms == NULL)
        return errno == ENOENT || errno == EACCES ? FLOW_AGAIN : FLOW_E_SYS;
    good = count > 0 && (perms[0].id == server || perms[0].id == 0);
    free(perms);
    return good ? FLOW_OK : FLOW_E_AUTH;
}

/* Reads both keys of one offer: the port must be the same before and after. */
static enum flow_status
linux_store_keys_read(struct xs_handle *store, uint16_t server,
                      const char *base, uint32_t *ret_ref, uint32_t *ret_port)
{
    enum flow_status st;
    uint32_t again = 0;

    st = linux_store_key_read(store, XBT_NULL, base, STORE_KEY_PORT, 1,
                              STORE_PORT_MAX, ret_port);
    if (st == FLOW_OK)
        st = linux_store_key_read(store, XBT_NULL, base, STORE_KEY_REF,
                                  VCHAN_REF_MIN, UINT32_MAX, ret_ref);
    if (st == FLOW_OK)
        st = linux_store_key_check_owner(store, base, STORE_KEY_PORT, server);
    if (st == FLOW_OK)
        st = linux_store_key_check_owner(store, base, STORE_KEY_REF, server);
    if (st == FLOW_OK)
        st = linux_store_key_read(store, XBT_NULL, base, STORE_KEY_PORT, 1,
                                  STORE_PORT_MAX, &again);
    return st == FLOW_OK && again != *ret_port ? FLOW_AGAIN : st;
}

static enum flow_status
linux_store_lookup(struct vchan_hyp *hyp, uint16_t server, const char *base,
                   uint32_t *ret_ref, uint32_t *ret_port,
                   struct flow_error *err)
{
    enum flow_status st = linux_store_keys_read(linux_store_of(hyp), server,
                                                base, ret_ref, ret_port);

    if (st == FLOW_E_PROTO)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the server's keys in the store are not numbers");
    else if (st == FLOW_E_AUTH)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the keys in the store belong to another domain");
    else if (st == FLOW_E_SYS)
        st = flow__vchan_linux_fail(err, "the store does not answer",
                                    "is xenstored running?");
    if (st != FLOW_OK && st != FLOW_AGAIN)
        flow_error_set_detail(err, base);
    return st;
}

static enum vchan_presence
linux_store_presence(struct vchan_hyp *hyp, uint16_t domid)
{
    struct linux_hyp *h = (struct linux_hyp *)hyp;
    enum vchan_presence presence = flow__vchan_linux_domain(h, domid);

    if (presence != VCHAN_PRESENCE_UNKNOWN)
        return presence;
    if (flow__xen.xs_is_domain_introduced(h->store, domid))
        return VCHAN_PRESENT;
    /* The store answers "no" to any domain except domain 0. */
    return flow__xen.xs_is_domain_introduced(h->store, DOMID_SELF)
               ? VCHAN_ABSENT
               : VCHAN_PRESENCE_UNKNOWN;
}

static bool
linux_store_released(struct vchan_hyp *hyp, uint16_t domid)
{
    struct xs_handle *store = linux_store_of(hyp);

    /* A failed request answers "no" too, and errno does not tell: a success may
     * set it, a lack of memory may not.  So ask for our own domain as well: a
     * store that answers, which it does to domain 0 alone, says "yes". */
    return !flow__xen.xs_is_domain_introduced(store, domid) &&
           flow__xen.xs_is_domain_introduced(store, DOMID_SELF);
}

void
flow__vchan_linux_hang_up(struct xs_handle *store, bool inherited)
{
    /* A child does not have the thread that xs_close() would stop. */
    if (inherited)
        flow__xen.xs_daemon_destroy_postfork(store);
    else
        flow__xen.xs_close(store);
}

static void
linux_store_watch_close(struct vchan_watch *w)
{
    struct vchan_hyp *hyp = w->hyp;

    if (w->store != NULL)
        flow__vchan_linux_hang_up(w->store, flow__vchan_hyp_is_inherited(hyp));
    flow_env_free(hyp->env, w, sizeof(*w));
}

/* A watch has a connection of its own, and events that the store has not sent
 * yet end with it. */
static enum flow_status
linux_store_watch_open(struct vchan_hyp *hyp, const char *path,
                       struct vchan_watch **ret_watch, struct flow_error *err)
{
    struct vchan_watch *w = flow_env_alloc(hyp->env, sizeof(*w));
    enum flow_status st;

    if (w == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a watch");
    w->hyp = hyp;
    w->store = flow__xen.xs_open(0);
    if (w->store != NULL && flow__xen.xs_fileno(w->store) >= 0 &&
        flow__xen.xs_watch(w->store, path, "vchan")) {
        *ret_watch = w;
        return FLOW_OK;
    }
    st = flow__vchan_linux_fail(err, "the Xen store refuses a watch", NULL);
    flow_error_set_detail(err, path);
    linux_store_watch_close(w);
    return st;
}

static enum flow_status
linux_store_watch_keys(struct vchan_hyp *hyp, const char *base,
                       struct vchan_watch **ret_watch, struct flow_error *err)
{
    char path[STORE_KEY_MAX];

    snprintf(path, sizeof(path), "%s%s", base, STORE_KEY_PORT);
    return linux_store_watch_open(hyp, path, ret_watch, err);
}

static enum flow_status
linux_store_watch_domains(struct vchan_hyp *hyp, struct vchan_watch **ret_watch,
                          struct flow_error *err)
{
    enum flow_status st =
        linux_store_watch_open(hyp, "@releaseDomain", ret_watch, err);

    if (st != FLOW_OK && err != NULL)
        err->hint = "give this domain the right to read @releaseDomain, or "
                    "leave watch_domains off";
    return st;
}

static void
linux_store_watch_wait(const struct vchan_watch *w, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, flow__xen.xs_fileno(w->store), FLOW_WAIT_IN);
    flow_wait_add_fd(set, ((struct linux_hyp *)w->hyp)->lost, FLOW_WAIT_IN);
}

/* What the events say does not matter: they mean "look again". */
static bool
linux_store_watch_drain(struct vchan_watch *w)
{
    bool told = false;
    char **event;

    while ((event = flow__xen.xs_check_watch(w->store)) != NULL) {
        free(event);
        told = true;
    }
    return told;
}

bool
flow__vchan_linux_own(struct xs_handle *store, uint16_t *ret_domid)
{
    unsigned len = 0;
    uint32_t domid = 0;
    char *text = flow__xen.xs_read(store, XBT_NULL, "domid", &len);
    bool ok = text != NULL &&
              flow__vchan_number(text, len, 0, VCHAN_DOMID_LIMIT - 1, &domid);

    free(text);
    *ret_domid = (uint16_t)domid;
    return ok;
}

const struct vchan_store_ops flow__vchan_linux_store = {
    .publish = linux_store_publish,
    .withdraw = linux_store_withdraw,
    .lookup = linux_store_lookup,
    .presence = linux_store_presence,
    .released = linux_store_released,
    .watch_keys = linux_store_watch_keys,
    .watch_domains = linux_store_watch_domains,
    .watch_wait = linux_store_watch_wait,
    .watch_drain = linux_store_watch_drain,
    .watch_close = linux_store_watch_close,
};
