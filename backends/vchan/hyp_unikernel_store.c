/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <string.h>

#include <xen/errno.h>

#include "backends/vchan/path.h"
#include "backends/vchan/proto.h"

/* The two keys below a base path. */
#define UNIKERNEL_STORE_REF  "/ring-ref"
#define UNIKERNEL_STORE_PORT "/event-channel"
#define UNIKERNEL_STORE_MAX  UNIKERNEL_XS_WATCH_MAX

/* Ports of the FIFO event channel ABI, the larger of the two: the other domain
 * may use it. */
#define UNIKERNEL_STORE_PORT_MAX 131071u

/* How often a transaction is repeated that met another one. */
#define UNIKERNEL_STORE_TRIES 64u

/*
 * Offers in Xen's store: two keys below a base path.
 *
 * Invariants: the keys of an offer appear and disappear in one transaction.  A
 * client uses an offer only if its port is the same before and after it reads
 * the page's reference, and if the owner of both keys is the server or domain
 * 0.  A key that others have written below our path is never removed.
 *
 * Locks: none; the connection makes one request at a time.
 */

/* A change of the store, made in one transaction.  0 to commit it. */
struct unikernel_store_change {
    int64_t (*make)(struct unikernel_hyp *h,
                    const struct unikernel_store_change *change,
                    uint32_t transaction);
    const char *base;
    uint32_t ref;
    uint32_t port;
    uint16_t peer;
};

static void
unikernel_store_path(char path[UNIKERNEL_STORE_MAX], const char *base,
                     const char *key)
{
    /* The longest base and either key fit. */
    path[0] = '\0';
    flow__vchan_append(path, UNIKERNEL_STORE_MAX, base);
    flow__vchan_append(path, UNIKERNEL_STORE_MAX, key);
}

/* A request without an answer. */
static int64_t
unikernel_store_tell(struct unikernel_hyp *h, enum flow_guest_store_op op,
                     uint32_t transaction, const char *path, const void *value,
                     size_t len)
{
    const struct flow_guest_request request = {
        .op = op,
        .transaction = transaction,
        .path = path,
        .value = value,
        .len = len,
    };
    size_t none;

    return flow__unikernel_xs_call(h, &request, &none);
}

static int64_t
unikernel_store_ask(struct unikernel_hyp *h, enum flow_guest_store_op op,
                    uint32_t transaction, const char *path, char *answer,
                    size_t size, size_t *ret_len)
{
    const struct flow_guest_request request = {
        .op = op,
        .transaction = transaction,
        .path = path,
        .answer = answer,
        .size = size,
    };

    return flow__unikernel_xs_call(h, &request, ret_len);
}

static int64_t
unikernel_store_begin(struct unikernel_hyp *h, uint32_t *ret_transaction)
{
    char text[16];
    size_t len;
    int64_t rc = unikernel_store_ask(h, FLOW_GUEST_STORE_BEGIN, 0, "", text,
                                     sizeof(text), &len);

    if (rc != 0)
        return rc;
    if (len == 0 || text[len - 1] != '\0' ||
        !flow__vchan_number(text, len - 1, 1, UINT32_MAX, ret_transaction))
        return -XEN_EINVAL;
    return 0;
}

static int64_t
unikernel_store_try(struct unikernel_hyp *h,
                    const struct unikernel_store_change *change)
{
    uint32_t transaction;
    int64_t rc = unikernel_store_begin(h, &transaction);
    int64_t end;

    if (rc != 0)
        return rc;
    rc = change->make(h, change, transaction);
    end = unikernel_store_tell(h, FLOW_GUEST_STORE_END, transaction,
                               rc == 0 ? "T" : "F", NULL, 0);
    return rc != 0 ? rc : end;
}

static int64_t
unikernel_store_transact(struct unikernel_hyp *h,
                         const struct unikernel_store_change *change)
{
    int64_t rc = -XEN_EAGAIN;

    for (unsigned i = 0; i < UNIKERNEL_STORE_TRIES && rc == -XEN_EAGAIN; i++)
        rc = unikernel_store_try(h, change);
    return rc;
}

/* Writes one key that `peer` may read. */
static int64_t
unikernel_store_write(struct unikernel_hyp *h, uint32_t transaction,
                      const char *base, const char *key, uint32_t number,
                      uint16_t peer)
{
    char path[UNIKERNEL_STORE_MAX];
    char perms[2][8] = { "n", "r" };
    char list[16];
    char text[16] = "";
    size_t len;
    int64_t rc;

    unikernel_store_path(path, base, key);
    flow__vchan_append_number(text, sizeof(text), number);
    rc = unikernel_store_tell(h, FLOW_GUEST_STORE_WRITE, transaction, path,
                              text, strlen(text));
    if (rc != 0)
        return rc;
    flow__vchan_append_number(perms[0], sizeof(perms[0]), h->base.domid);
    flow__vchan_append_number(perms[1], sizeof(perms[1]), peer);
    len = strlen(perms[0]) + 1;
    memcpy(list, perms[0], len);
    memcpy(list + len, perms[1], strlen(perms[1]) + 1);
    len += strlen(perms[1]) + 1;
    return unikernel_store_tell(h, FLOW_GUEST_STORE_SET_PERMS, transaction,
                                path, list, len);
}

/* Clients watch event-channel, so it is written last. */
static int64_t
unikernel_store_write_keys(struct unikernel_hyp *h,
                           const struct unikernel_store_change *change,
                           uint32_t transaction)
{
    int64_t rc =
        unikernel_store_write(h, transaction, change->base, UNIKERNEL_STORE_REF,
                              change->ref, change->peer);

    if (rc != 0)
        return rc;
    return unikernel_store_write(h, transaction, change->base,
                                 UNIKERNEL_STORE_PORT, change->port,
                                 change->peer);
}

static enum flow_status
unikernel_store_publish(struct vchan_hyp *hyp, const char *base, uint16_t peer,
                        uint32_t ref, uint32_t port, struct flow_error *err)
{
    const struct unikernel_store_change change = {
        .make = unikernel_store_write_keys,
        .base = base,
        .ref = ref,
        .port = port,
        .peer = peer,
    };
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    int64_t rc = unikernel_store_transact(h, &change);

    if (rc == 0)
        return FLOW_OK;
    return flow__unikernel_xs_fail(h, err, rc, "cannot write to the store",
                                   base);
}

static bool
unikernel_store_is_absent(int64_t rc)
{
    return rc == -XEN_ENOENT || rc == -XEN_EACCES;
}

/*
 * Reads one key.  0 and *ret_st OK, AGAIN: it does not exist or we may not read
 * it yet, or E_PROTO: it is not a number.  Otherwise an errno of Xen.
 */
static int64_t
unikernel_store_read(struct unikernel_hyp *h, uint32_t transaction,
                     const char *base, const char *key, uint32_t min,
                     uint32_t max, uint32_t *ret_number,
                     enum flow_status *ret_st)
{
    char path[UNIKERNEL_STORE_MAX];
    char text[16];
    size_t len;
    int64_t rc;

    unikernel_store_path(path, base, key);
    rc = unikernel_store_ask(h, FLOW_GUEST_STORE_READ, transaction, path, text,
                             sizeof(text), &len);
    if (unikernel_store_is_absent(rc) || (rc == 0 && len == 0)) {
        *ret_st = FLOW_AGAIN;
        return 0;
    }
    if (rc != 0 && rc != -XEN_ENOBUFS)
        return rc;
    *ret_st = rc == 0 && flow__vchan_number(text, len, min, max, ret_number)
                  ? FLOW_OK
                  : FLOW_E_PROTO;
    return 0;
}

/* Removes a node without children; false if it has any. */
static bool
unikernel_store_remove_empty(struct unikernel_hyp *h, uint32_t transaction,
                             const char *path)
{
    char name;
    size_t len;

    return unikernel_store_ask(h, FLOW_GUEST_STORE_DIRECTORY, transaction, path,
                               &name, sizeof(name), &len) == 0 &&
           len == 0 &&
           unikernel_store_tell(h, FLOW_GUEST_STORE_RM, transaction, path, NULL,
                                0) == 0;
}

/* How much of a path stays: all of it, or what is above the nodes that only
 * vchan libraries use, if the path was made from a name. */
static size_t
unikernel_store_keep(const struct unikernel_hyp *h, const char *base)
{
    char path[UNIKERNEL_STORE_MAX] = "/local/domain/";
    size_t len;

    flow__vchan_append_number(path, sizeof(path), h->base.domid);
    flow__vchan_append(path, sizeof(path), "/data/vchan");
    len = strlen(path);
    return strncmp(base, path, len) == 0 && base[len] == '/' ? len
                                                             : strlen(base);
}

/* Cuts the last component off. */
static void
unikernel_store_parent(char *path)
{
    size_t len = strlen(path);

    while (len > 0 && path[len] != '/')
        len--;
    path[len] = '\0';
}

/* Removes the keys of an offer if they are still this one's, and the nodes that
 * are empty after that. */
static int64_t
unikernel_store_remove_keys(struct unikernel_hyp *h,
                            const struct unikernel_store_change *change,
                            uint32_t transaction)
{
    size_t keep = unikernel_store_keep(h, change->base);
    char path[UNIKERNEL_STORE_MAX];
    enum flow_status st;
    uint32_t there = 0;
    int64_t rc =
        unikernel_store_read(h, transaction, change->base, UNIKERNEL_STORE_PORT,
                             1, UNIKERNEL_STORE_PORT_MAX, &there, &st);

    if (rc != 0)
        return rc;
    if (st != FLOW_OK || there != change->port)
        return -XEN_ENOENT;
    unikernel_store_path(path, change->base, UNIKERNEL_STORE_PORT);
    rc = unikernel_store_tell(h, FLOW_GUEST_STORE_RM, transaction, path, NULL,
                              0);
    unikernel_store_path(path, change->base, UNIKERNEL_STORE_REF);
    if (rc == 0)
        rc = unikernel_store_tell(h, FLOW_GUEST_STORE_RM, transaction, path,
                                  NULL, 0);
    if (rc != 0 && rc != -XEN_ENOENT)
        return rc;
    unikernel_store_path(path, change->base, "");
    while (strlen(path) >= keep &&
           unikernel_store_remove_empty(h, transaction, path))
        unikernel_store_parent(path);
    return 0;
}

static void
unikernel_store_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    const struct unikernel_store_change change = {
        .make = unikernel_store_remove_keys,
        .base = base,
        .port = port,
    };

    unikernel_store_transact(flow__unikernel_of(hyp), &change);
}

/*
 * OK if the owner of a key is the server or domain 0, which may write anything
 * in the store.  The server may let other domains write below its path; we do
 * not trust those.  AGAIN: the key was removed.
 */
static int64_t
unikernel_store_check_owner(struct unikernel_hyp *h, const char *base,
                            const char *key, uint16_t server,
                            enum flow_status *ret_st)
{
    char list[UNIKERNEL_XS_PAYLOAD];
    char path[UNIKERNEL_STORE_MAX];
    const char *end;
    uint32_t owner;
    size_t len;
    int64_t rc;

    unikernel_store_path(path, base, key);
    rc = unikernel_store_ask(h, FLOW_GUEST_STORE_GET_PERMS, 0, path, list,
                             sizeof(list), &len);
    if (unikernel_store_is_absent(rc)) {
        *ret_st = FLOW_AGAIN;
        return 0;
    }
    if (rc != 0)
        return rc;
    end = len > 0 ? memchr(list, '\0', len) : NULL;
    if (end == NULL || end == list ||
        !flow__vchan_number(list + 1, (size_t)(end - list - 1), 0, UINT16_MAX,
                            &owner))
        return -XEN_EINVAL;
    *ret_st = owner == server || owner == 0 ? FLOW_OK : FLOW_E_AUTH;
    return 0;
}

/* Reads both keys of one offer: the port must be the same before and after. */
static int64_t
unikernel_store_read_keys(struct unikernel_hyp *h, uint16_t server,
                          const char *base, uint32_t *ret_ref,
                          uint32_t *ret_port, enum flow_status *ret_st)
{
    uint32_t again = 0;
    int64_t rc =
        unikernel_store_read(h, 0, base, UNIKERNEL_STORE_PORT, 1,
                             UNIKERNEL_STORE_PORT_MAX, ret_port, ret_st);

    if (rc == 0 && *ret_st == FLOW_OK)
        rc = unikernel_store_read(h, 0, base, UNIKERNEL_STORE_REF,
                                  VCHAN_REF_MIN, UINT32_MAX, ret_ref, ret_st);
    if (rc == 0 && *ret_st == FLOW_OK)
        rc = unikernel_store_check_owner(h, base, UNIKERNEL_STORE_PORT, server,
                                         ret_st);
    if (rc == 0 && *ret_st == FLOW_OK)
        rc = unikernel_store_check_owner(h, base, UNIKERNEL_STORE_REF, server,
                                         ret_st);
    if (rc == 0 && *ret_st == FLOW_OK)
        rc = unikernel_store_read(h, 0, base, UNIKERNEL_STORE_PORT, 1,
                                  UNIKERNEL_STORE_PORT_MAX, &again, ret_st);
    if (rc == 0 && *ret_st == FLOW_OK && again != *ret_port)
        *ret_st = FLOW_AGAIN;
    return rc;
}

static enum flow_status
unikernel_store_lookup(struct vchan_hyp *hyp, uint16_t server, const char *base,
                       uint32_t *ret_ref, uint32_t *ret_port,
                       struct flow_error *err)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    enum flow_status st = FLOW_AGAIN;
    int64_t rc =
        unikernel_store_read_keys(h, server, base, ret_ref, ret_port, &st);

    if (rc != 0)
        return flow__unikernel_xs_fail(h, err, rc, "cannot read from the store",
                                       base);
    if (st == FLOW_E_PROTO)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the server's keys in the store are not numbers");
    else if (st == FLOW_E_AUTH)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the keys in the store belong to another domain");
    if (st != FLOW_OK && st != FLOW_AGAIN)
        flow_error_set_detail(err, base);
    return st;
}

static enum vchan_presence
unikernel_store_presence(struct vchan_hyp *hyp, uint16_t domid)
{
    return flow__unikernel_presence(flow__unikernel_of(hyp), domid);
}

static enum flow_status
unikernel_store_watch_keys(struct vchan_hyp *hyp, const char *base,
                           struct vchan_watch **ret_watch,
                           struct flow_error *err)
{
    char path[UNIKERNEL_STORE_MAX];

    unikernel_store_path(path, base, UNIKERNEL_STORE_PORT);
    return flow__unikernel_xs_watch(flow__unikernel_of(hyp), path, ret_watch,
                                    err);
}

static enum flow_status
unikernel_store_watch_domains(struct vchan_hyp *hyp,
                              struct vchan_watch **ret_watch,
                              struct flow_error *err)
{
    enum flow_status st = flow__unikernel_xs_watch(
        flow__unikernel_of(hyp), "@releaseDomain", ret_watch, err);

    if (st != FLOW_OK && err != NULL && err->hint == NULL)
        err->hint = "give this domain the right to read @releaseDomain, or "
                    "leave watch_domains off";
    return st;
}

const struct vchan_store_ops flow__unikernel_store = {
    .publish = unikernel_store_publish,
    .withdraw = unikernel_store_withdraw,
    .lookup = unikernel_store_lookup,
    .presence = unikernel_store_presence,
    .watch_keys = unikernel_store_watch_keys,
    .watch_domains = unikernel_store_watch_domains,
    .watch_wait = flow__unikernel_xs_watch_wait,
    .watch_drain = flow__unikernel_xs_watch_drain,
    .watch_close = flow__unikernel_xs_watch_close,
};
