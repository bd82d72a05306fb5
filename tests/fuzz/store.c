/* SPDX-License-Identifier: ISC */
/*
 * The client of xenstored over a page that the input writes: answers, events of
 * watches, and indexes, while requests are made.
 *
 *   byte 0      where the rings' indexes start
 *   then        steps: a kind and its arguments, see take_step()
 *
 * The store acts in hypercalls: when it gets an event, and when the guest
 * sleeps.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/vchan/hyp_unikernel.h"
#include "tests/fuzz/fuzz.h"

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>
#include <xen/xen.h>

struct input {
    const uint8_t *data;
    size_t size;
};

static struct {
    struct input in;
    struct flow_env env;
    struct flow_guest guest;
    struct shared_info info;
    /* Of a size that no other object shares, so that a sanitizer finds an
     * access outside. */
    struct xenstore_domain_interface *page;
    uint64_t now;
    uint32_t last_id;
    uint32_t last_type;
    bool started; /* it has answered the first request */
} s;

static uint8_t
take8(void)
{
    if (s.in.size == 0)
        return 0;
    s.in.size--;
    return *s.in.data++;
}

static uint32_t
take32(void)
{
    uint32_t v = take8();

    v |= (uint32_t)take8() << 8;
    v |= (uint32_t)take8() << 16;
    return v | (uint32_t)take8() << 24;
}

/* Writes bytes to the ring of answers without a look at the guest's index. */
static void
put(const void *data, size_t len)
{
    const char *at = data;

    for (size_t i = 0; i < len; i++)
        s.page->rsp[s.page->rsp_prod++ % XENSTORE_RING_SIZE] = at[i];
}

static void
put_message(uint32_t type, uint32_t id, uint32_t len)
{
    struct xsd_sockmsg head = { type, id, 0, len };
    uint8_t body[256];
    uint32_t n = len < sizeof(body) ? len : sizeof(body);

    put(&head, sizeof(head));
    for (uint32_t i = 0; i < n; i++)
        body[i] = take8();
    put(body, n);
}

/* Looks at the newest request, as a store that answers has to. */
static void
look_at_request(void)
{
    const struct xenstore_domain_interface *p = s.page;
    uint8_t head[sizeof(struct xsd_sockmsg)];
    struct xsd_sockmsg message;

    if (p->req_prod - p->req_cons < sizeof(head))
        return;
    for (uint32_t i = 0; i < sizeof(head); i++)
        head[i] = (uint8_t)p->req[(p->req_cons + i) % XENSTORE_RING_SIZE];
    memcpy(&message, head, sizeof(head));
    s.last_id = message.req_id;
    s.last_type = message.type;
}

static void
take_step(void)
{
    static const char domid[] = "3";
    struct xsd_sockmsg head;

    look_at_request();
    if (!s.started) {
        s.started = true;
        s.page->req_cons = s.page->req_prod;
        head = (struct xsd_sockmsg){ XS_READ, 1, 0, 1 };
        put(&head, sizeof(head));
        put(domid, 1);
        return;
    }
    switch (take8() % 10) {
    case 0: /* the right answer */
        s.page->req_cons = s.page->req_prod;
        put_message(s.last_type, s.last_id, take8());
        break;
    case 1: /* an error */
        s.page->req_cons = s.page->req_prod;
        put_message(XS_ERROR, s.last_id, take8() % 16);
        break;
    case 2: /* an event */
        put_message(XS_WATCH_EVENT, 0, take8());
        break;
    case 3: /* any header */
        put_message(take32(), take32(), take32());
        break;
    case 4: /* the index moves */
        s.page->rsp_prod += take32();
        break;
    case 5:
        s.page->req_cons += take32();
        break;
    case 6: /* requests are taken */
        s.page->req_cons = s.page->req_prod;
        break;
    case 7: /* a byte anywhere */
        ((char *)s.page)[take32() % sizeof(*s.page)] = (char)take8();
        break;
    case 8: /* bytes without a header */
        for (uint8_t n = take8(); n > 0; n--) {
            char byte = (char)take8();

            put(&byte, 1);
        }
        break;
    default: /* nothing */
        break;
    }
}

static int64_t
fuzz_hypercall(void *ctx, uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
    (void)ctx;
    (void)c;
    if (number == __HYPERVISOR_event_channel_op && a == EVTCHNOP_send) {
        s.now += UINT64_C(10000000);
        take_step();
    }
    if (number == __HYPERVISOR_sched_op && a == SCHEDOP_poll) {
        const struct sched_poll *poll = (const void *)(uintptr_t)b;

        if (poll->timeout > s.now)
            s.now = poll->timeout;
        /* Once the script is over, nothing else happens. */
        if (s.in.size == 0)
            s.now += UINT64_C(20000000000);
        take_step();
    }
    return 0;
}

static uint64_t
fuzz_now(void *ctx)
{
    (void)ctx;
    return s.now;
}

static void
request(struct unikernel_hyp *h)
{
    static const enum flow_guest_store_op ops[] = { FLOW_GUEST_STORE_READ,
                                                    FLOW_GUEST_STORE_DIRECTORY,
                                                    FLOW_GUEST_STORE_GET_PERMS,
                                                    FLOW_GUEST_STORE_WRITE };
    char answer[64];
    char value[900] = "";
    struct flow_guest_request r = {
        .op = ops[take8() % 4],
        .path = "data/x",
        .value = value,
        .len = take8() * 3u,
        .answer = answer,
        .size = take8() % sizeof(answer),
    };
    struct flow_error err;
    size_t len = 77;
    int64_t rc;

    memset(answer, 0x5a, sizeof(answer));
    rc = flow__unikernel_xs_call(h, &r, &len);
    FUZZ_CHECK(rc <= 0 && len <= r.size);
    FUZZ_CHECK(rc == 0 || len == 0);
    for (size_t i = rc == 0 ? len : 0; i < sizeof(answer); i++)
        FUZZ_CHECK(answer[i] == 0x5a);
    FUZZ_CHECK((rc == -XEN_EIO) <= (h->xs.broken != NULL));
    if (rc != 0)
        FUZZ_CHECK(flow__unikernel_xs_fail(h, &err, rc, "text", "path") < 0 &&
                   err.text != NULL);
}

/* What vchan does with the store. */
static void
offer(struct vchan_hyp *hyp)
{
    static const char base[] = "/local/domain/3/data/vchan/2/x";
    uint32_t port = 0;
    uint32_t ref = 0;

    switch (take8() % 3) {
    case 0:
        hyp->store->publish(hyp, base, 2, 9, 5, NULL);
        break;
    case 1:
        hyp->store->withdraw(hyp, base, 5);
        break;
    default:
        if (hyp->store->lookup(hyp, 3, base, &ref, &port, NULL) == FLOW_OK)
            FUZZ_CHECK(ref >= 8 && port >= 1 && port <= 131071);
        break;
    }
}

static void
run(struct vchan_hyp *hyp)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    struct vchan_watch *w[2] = { NULL, NULL };

    while (s.in.size > 0) {
        uint8_t kind = take8();
        struct vchan_watch **one = &w[kind >> 7];

        if (kind % 4 == 0)
            request(h);
        else if (kind % 4 == 1)
            offer(hyp);
        else if (*one == NULL)
            flow__unikernel_xs_watch(h, "data/x", one, NULL);
        else if (kind % 4 == 2)
            flow__unikernel_xs_watch_drain(*one);
        else {
            flow__unikernel_xs_watch_close(*one);
            *one = NULL;
        }
    }
    for (unsigned i = 0; i < 2; i++)
        if (w[i] != NULL)
            flow__unikernel_xs_watch_close(w[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vchan_hyp *hyp;
    uint32_t start;

    memset(&s, 0, sizeof(s));
    s.in = (struct input){ data, size };
    s.env = *flow_env_default();
    s.env.now = fuzz_now;
    s.now = 1000;
    s.page = calloc(1, sizeof(*s.page));
    FUZZ_CHECK(s.page != NULL);
    start = 0u - (uint32_t)take8() * 8;
    s.page->req_cons = s.page->req_prod = start;
    s.page->rsp_cons = s.page->rsp_prod = start + 5;
    s.guest.hypercall = fuzz_hypercall;
    s.guest.shared_info = &s.info;
    s.guest.grant_table = &s.info;
    s.guest.grant_frames = 1;
    s.guest.store = s.page;
    s.guest.store_port = 1;
    FUZZ_CHECK(flow__unikernel_new(&s.env, &s.guest, &hyp, NULL) == FLOW_OK);
    FUZZ_CHECK(hyp->domid == 3);
    run(hyp);
    flow__vchan_hyp_unref(hyp);
    free(s.page);
    return 0;
}
