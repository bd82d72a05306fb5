/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel_entropy.h"

#include <string.h>

#include <xen/errno.h>
#include <xen/io/console.h>
#include <xen/io/xenbus.h>

#include "backends/vchan/path.h"
#include "backends/vchan/shm.h"

/*
 * The entropy of the host: a console with a well-known name, whose other end
 * is xentropyd.  We write a line, it answers with a line, and every byte after
 * that is random.  A byte before the end of that line is not used: it might be
 * the text of a terminal.
 *
 * Invariants: the page is granted, and the channel open, from before the keys
 * are in the store until the end of the object.  Indexes of ours are kept here
 * and not read back.  After an index that cannot be, the ring is not touched
 * again.  Bytes that were taken are wiped in the ring.
 */
#define UNIKERNEL_ENTROPY_NODE "device/console"
#define UNIKERNEL_ENTROPY_NAME "org.openmirage.entropy.1"

static const char unikernel_entropy_request[] =
    "Hello, may I have some entropy?\r\n";
static const char unikernel_entropy_answer[] =
    "You may treat everything following this message as entropy.\r\n";

struct unikernel_entropy {
    struct flow_entropy_source source;
    struct unikernel_hyp *hyp;
    struct vchan_channel *channel;
    struct vchan_region *region;
    struct xencons_interface *ring;
    uint32_t in_cons;
    uint32_t matched; /* bytes of the answer */
    bool broken;      /* the host's index cannot be */
};

/* "device/console/", the number of one, and a key. */
struct unikernel_entropy_path {
    char text[sizeof(UNIKERNEL_ENTROPY_NODE) + 32];
};

static struct unikernel_entropy_path
unikernel_entropy_path(const char *console, const char *key)
{
    const char *const parts[] = { UNIKERNEL_ENTROPY_NODE, "/", console, key };
    struct unikernel_entropy_path path = { "" };
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!flow__vchan_append(path.text, sizeof(path.text), parts[i]))
            path.text[0] = '\0';
    return path;
}

/* Reads a node: a string, or an errno of Xen. */
static int64_t
unikernel_entropy_ask(struct unikernel_hyp *h, enum flow_guest_store_op op,
                      const char *path, char *answer, size_t size,
                      size_t *ret_len)
{
    const struct flow_guest_request request = {
        .op = op, .path = path, .answer = answer, .size = size - 1
    };
    int64_t rc = flow__unikernel_xs_call(h, &request, ret_len);

    if (rc == 0)
        answer[*ret_len] = '\0';
    return rc;
}

static int64_t
unikernel_entropy_tell(struct unikernel_hyp *h, const char *console,
                       const char *key, uint32_t number)
{
    const struct unikernel_entropy_path path =
        unikernel_entropy_path(console, key);
    char text[12] = "";
    struct flow_guest_request request = { .op = FLOW_GUEST_STORE_WRITE,
                                          .path = path.text,
                                          .value = text };
    size_t none;

    flow__vchan_append_number(text, sizeof(text), number);
    request.len = strlen(text);
    return flow__unikernel_xs_call(h, &request, &none);
}

static bool
unikernel_entropy_is_named(struct unikernel_hyp *h, const char *console)
{
    const struct unikernel_entropy_path path =
        unikernel_entropy_path(console, "/name");
    char name[sizeof(UNIKERNEL_ENTROPY_NAME) + 1];
    size_t len;

    return unikernel_entropy_ask(h, FLOW_GUEST_STORE_READ, path.text, name,
                                 sizeof(name), &len) == 0 &&
           strcmp(name, UNIKERNEL_ENTROPY_NAME) == 0;
}

/* The number of the console with that name, in list, which is overwritten. */
static enum flow_status
unikernel_entropy_find(struct unikernel_hyp *h, char *list, size_t size,
                       const char **ret_console, struct flow_error *err)
{
    size_t at, len;
    int64_t rc =
        unikernel_entropy_ask(h, FLOW_GUEST_STORE_DIRECTORY,
                              UNIKERNEL_ENTROPY_NODE, list, size, &len);

    if (rc != 0 && rc != -XEN_ENOENT)
        return flow__unikernel_xs_fail(h, err, rc, "cannot list the consoles",
                                       UNIKERNEL_ENTROPY_NODE);
    for (at = 0; rc == 0 && at < len; at += strlen(list + at) + 1)
        if (unikernel_entropy_is_named(h, list + at)) {
            *ret_console = list + at;
            return FLOW_OK;
        }
    flow_error_set(err, FLOW_E_NOTSUP, "vchan", FLOW_DOMAIN_NONE, 0,
                   "the host gives this domain no entropy channel");
    if (err != NULL)
        err->hint = "run xentropyd in domain 0";
    return FLOW_E_NOTSUP;
}

static enum flow_status
unikernel_entropy_peer(struct unikernel_hyp *h, const char *console,
                       uint16_t *ret_peer, struct flow_error *err)
{
    const struct unikernel_entropy_path path =
        unikernel_entropy_path(console, "/backend-id");
    char text[8];
    uint32_t peer;
    size_t len;
    int64_t rc = unikernel_entropy_ask(h, FLOW_GUEST_STORE_READ, path.text,
                                       text, sizeof(text), &len);

    if (rc == 0 &&
        !flow__vchan_number(text, len, 0, VCHAN_DOMID_LIMIT - 1, &peer))
        rc = -XEN_EINVAL;
    if (rc != 0)
        return flow__unikernel_xs_fail(
            h, err, rc, "the entropy channel has no domain", path.text);
    *ret_peer = (uint16_t)peer;
    return FLOW_OK;
}

/* The request is in the ring before the host can look. */
static void
unikernel_entropy_say(struct unikernel_entropy *e)
{
    const uint32_t len = sizeof(unikernel_entropy_request) - 1;
    uint32_t i;

    for (i = 0; i < len; i++)
        flow__shm_store8((uint8_t *)&e->ring->out[i],
                         (uint8_t)unikernel_entropy_request[i]);
    flow__shm_store32(&e->ring->out_prod, len);
}

/* The state last: the host reads the others when it sees that. */
static int64_t
unikernel_entropy_publish(struct unikernel_entropy *e, const char *console,
                          uint32_t ref)
{
    struct unikernel_hyp *h = e->hyp;
    int64_t rc = unikernel_entropy_tell(h, console, "/ring-ref", ref);

    if (rc == 0)
        rc = unikernel_entropy_tell(h, console, "/port",
                                    h->base.events->port(e->channel));
    if (rc == 0)
        rc = unikernel_entropy_tell(h, console, "/state",
                                    XenbusStateInitialised);
    return rc;
}

static enum flow_status
unikernel_entropy_connect(struct unikernel_entropy *e, const char *console,
                          struct flow_error *err)
{
    static const struct vchan_unmap_notify nothing = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_hyp *hyp = &e->hyp->base;
    uint16_t peer = 0;
    uint32_t ref;
    int64_t rc;
    enum flow_status st = unikernel_entropy_peer(e->hyp, console, &peer, err);

    if (st == FLOW_OK)
        st = hyp->events->alloc(hyp, peer, &e->channel, err);
    if (st == FLOW_OK)
        st = hyp->grants->share(hyp, peer, 1, true, nothing, &ref, &e->region,
                                err);
    if (st != FLOW_OK)
        return st;
    e->ring = (struct xencons_interface *)(void *)e->region->base;
    unikernel_entropy_say(e);
    rc = unikernel_entropy_publish(e, console, ref);
    if (rc == 0)
        return FLOW_OK;
    return flow__unikernel_xs_fail(e->hyp, err, rc,
                                   "cannot offer an entropy channel",
                                   UNIKERNEL_ENTROPY_NODE);
}

/* The next byte of the ring, which is not empty. */
static uint8_t
unikernel_entropy_take(struct unikernel_entropy *e)
{
    uint8_t *at =
        (uint8_t *)&e->ring->in[MASK_XENCONS_IDX(e->in_cons++, e->ring->in)];
    uint8_t byte = flow__shm_load8(at);

    flow__shm_store8(at, 0);
    return byte;
}

/* Whether a byte comes after the answer.  Its first byte is in no other place
 * of it, so a search begins anew only there. */
static bool
unikernel_entropy_is_random(struct unikernel_entropy *e, uint8_t byte)
{
    if (e->matched == sizeof(unikernel_entropy_answer) - 1)
        return true;
    if (byte != (uint8_t)unikernel_entropy_answer[e->matched])
        e->matched = 0;
    e->matched += byte == (uint8_t)unikernel_entropy_answer[e->matched];
    return false;
}

/* flow_entropy_source::read */
static size_t
unikernel_entropy_read(void *ctx, uint8_t *buf, size_t len)
{
    struct unikernel_entropy *e = ctx;
    uint32_t filled, taken;
    size_t done = 0;
    uint8_t byte;

    if (e->broken)
        return 0;
    (void)e->hyp->base.events->drain(e->channel);
    filled = flow__shm_load32(&e->ring->in_prod) - e->in_cons;
    e->broken = filled > sizeof(e->ring->in);
    if (e->broken)
        return 0;
    for (taken = 0; taken < filled && done < len; taken++) {
        byte = unikernel_entropy_take(e);
        if (unikernel_entropy_is_random(e, byte))
            buf[done++] = byte;
    }
    if (taken == 0)
        return 0;
    flow__shm_store32(&e->ring->in_cons, e->in_cons);
    e->hyp->base.events->notify(e->channel);
    return done;
}

/* See backends/vchan/hyp_unikernel_entropy.h. */
enum flow_status
flow__unikernel_entropy_open(struct unikernel_hyp *h,
                             struct unikernel_entropy **ret_entropy,
                             struct flow_error *err)
{
    char list[256];
    struct unikernel_entropy *e;
    const char *console = NULL;
    enum flow_status st =
        unikernel_entropy_find(h, list, sizeof(list), &console, err);

    if (st != FLOW_OK)
        return st;
    e = flow_env_alloc(h->base.env, sizeof(*e));
    if (e == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for the entropy channel");
    e->hyp = h;
    e->source.name = "xentropyd";
    e->source.ctx = e;
    e->source.read = unikernel_entropy_read;
    st = unikernel_entropy_connect(e, console, err);
    if (st == FLOW_OK)
        *ret_entropy = e;
    else
        flow__unikernel_entropy_close(e);
    return st;
}

const struct flow_entropy_source *
flow__unikernel_entropy_source(const struct unikernel_entropy *e)
{
    return &e->source;
}

void
flow__unikernel_entropy_close(struct unikernel_entropy *e)
{
    struct vchan_hyp *hyp = &e->hyp->base;

    /* A page that the host still has mapped stays on the list of the handle. */
    if (e->region != NULL)
        (void)hyp->grants->unshare(hyp, e->region);
    if (e->channel != NULL)
        hyp->events->close(e->channel);
    flow_env_free(hyp->env, e, sizeof(*e));
}
