/* SPDX-License-Identifier: ISC */
/*
 * A flow whose peer is the input: the control page that the peer publishes,
 * then a script of its changes to shared memory between our calls.
 *
 *   byte 0      bit 0: we are the server; bits 1, 2: small or odd rings
 *   bytes 1-24  the control page's first 24 bytes (client only)
 *   then        steps: a kind and its arguments, see step()
 *
 * The rings lie between inaccessible pages.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <flow/flow.h>
#include <flow/vchan.h>

#include "backends/vchan/vchan.h"
#include "tests/fuzz/fuzz.h"

#define CONTROL_REF 8u
#define FIRST_REF   100u
#define RING_PAGES  256u

struct input {
    const uint8_t *data;
    size_t size;
};

struct vchan_channel {
    int fd;
};

/* Guarded memory, mapped once for all runs: control page, left ring, right
 * ring. */
static uint8_t *place[3];
static struct vchan_region region[3];
static struct vchan_channel channel;
static unsigned shared;

static uint8_t
take8(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static uint32_t
take32(struct input *in)
{
    uint32_t v = take8(in);

    v |= (uint32_t)take8(in) << 8;
    v |= (uint32_t)take8(in) << 16;
    return v | (uint32_t)take8(in) << 24;
}

/* Memory of `count` pages that ends at a guard page. */
static struct vchan_region *
give(unsigned which, uint32_t count)
{
    uint32_t size = which == 0 ? 1 : RING_PAGES;

    region[which].base =
        place[which] + (size_t)(size - count) * VCHAN_PAGE_SIZE;
    region[which].count = count;
    return &region[which];
}

static enum flow_status
fuzz_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count, bool writable,
           struct vchan_unmap_notify at_unmap, uint32_t *ret_refs,
           struct vchan_region **ret_region, struct flow_error *err)
{
    (void)hyp;
    (void)peer;
    (void)writable;
    (void)at_unmap;
    (void)err;
    for (uint32_t i = 0; i < count; i++)
        ret_refs[i] = FIRST_REF + 1000 * shared + i;
    *ret_region = give(shared, count);
    memset((*ret_region)->base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    shared++;
    return FLOW_OK;
}

static enum flow_status
fuzz_unshare(struct vchan_hyp *hyp, struct vchan_region *r)
{
    (void)hyp;
    (void)r;
    return FLOW_OK;
}

static enum flow_status
fuzz_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
         uint32_t count, bool writable, struct vchan_unmap_notify at_unmap,
         struct vchan_region **ret_region, struct flow_error *err)
{
    (void)hyp;
    (void)peer;
    (void)at_unmap;
    FUZZ_CHECK(count >= 1 && count <= RING_PAGES);
    if (refs[0] == CONTROL_REF) {
        FUZZ_CHECK(count == 1 && writable);
        *ret_region = give(0, 1);
        return FLOW_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        if (refs[i] < FIRST_REF || refs[i] >= FIRST_REF + 2 * RING_PAGES)
            return flow_error_set(err, FLOW_E_SYS, "fuzz", FLOW_DOMAIN_NONE, 0,
                                  "no such grant");
    *ret_region = give(writable ? 1 : 2, count);
    return FLOW_OK;
}

static void
fuzz_unmap(struct vchan_hyp *hyp, struct vchan_region *r)
{
    (void)hyp;
    (void)r;
}

static enum flow_status
fuzz_alloc(struct vchan_hyp *hyp, uint16_t peer,
           struct vchan_channel **ret_channel, struct flow_error *err)
{
    (void)hyp;
    (void)peer;
    (void)err;
    *ret_channel = &channel;
    return FLOW_OK;
}

static enum flow_status
fuzz_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t port,
          struct vchan_channel **ret_channel, struct flow_error *err)
{
    (void)port;
    return fuzz_alloc(hyp, peer, ret_channel, err);
}

static uint32_t
fuzz_port(const struct vchan_channel *c)
{
    (void)c;
    return 1;
}

static void
fuzz_notify(struct vchan_channel *c)
{
    (void)c;
}

static bool
fuzz_drain(struct vchan_channel *c)
{
    (void)c;
    return true;
}

static uint32_t
fuzz_remote(struct vchan_channel *c)
{
    (void)c;
    return 0;
}

static void
fuzz_wait(const struct vchan_channel *c, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, c->fd, FLOW_WAIT_IN);
}

static enum vchan_channel_state
fuzz_state(struct vchan_channel *c)
{
    (void)c;
    return VCHAN_CHANNEL_UNKNOWN;
}

static void
fuzz_close(struct vchan_channel *c)
{
    (void)c;
}

static void
fuzz_free(struct vchan_hyp *hyp)
{
    (void)hyp;
}

static const struct vchan_grant_ops grants = { fuzz_share, fuzz_unshare,
                                               fuzz_map, fuzz_unmap };
static const struct vchan_event_ops events = {
    .alloc = fuzz_alloc,
    .bind = fuzz_bind,
    .port = fuzz_port,
    .remote = fuzz_remote,
    .notify = fuzz_notify,
    .drain = fuzz_drain,
    .wait = fuzz_wait,
    .state = fuzz_state,
    .close = fuzz_close,
};

static void
prepare(void)
{
    static const size_t pages[3] = { 1, RING_PAGES, RING_PAGES };
    int fd[2];

    if (place[0] != NULL)
        return;
    FUZZ_CHECK(pipe(fd) == 0);
    channel.fd = fd[0];
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *at = mmap(NULL, (pages[i] + 2) * VCHAN_PAGE_SIZE, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        FUZZ_CHECK(at != MAP_FAILED);
        place[i] = at + VCHAN_PAGE_SIZE;
        FUZZ_CHECK(mprotect(place[i], pages[i] * VCHAN_PAGE_SIZE,
                            PROT_READ | PROT_WRITE) == 0);
    }
}

/* The control page of the input, with a grant list that is mostly valid. */
static void
publish(struct input *in)
{
    uint8_t *page = place[0];
    uint32_t *grant = (uint32_t *)(void *)(page + 24);
    uint8_t lies;

    memset(page, 0, VCHAN_PAGE_SIZE);
    for (unsigned i = 0; i < 24; i++)
        page[i] = take8(in);
    for (uint32_t i = 0; i < 2 * RING_PAGES; i++)
        grant[i] = FIRST_REF + i;
    for (lies = take8(in) % 8; lies > 0; lies--) {
        uint8_t at = take8(in);

        grant[at] = take32(in);
    }
}

static bool
start(struct input *in, struct vchan_hyp *hyp, struct vchan_sets **ret_sets,
      struct vchan **ret_vchan)
{
    static const size_t size[4] = { 1024, 2048, 4096, 9000 };
    const struct vchan_kept none = { 0, 0 };
    struct flow_vchan_options opt = { .lease_rings = true };
    struct vchan_conn conn;
    struct flow_error err;
    struct vchan_orders orders;
    struct vchan_rx rx;
    struct vchan_tx tx;
    uint8_t kind = take8(in);

    *ret_sets = NULL;
    shared = 0;
    if (kind & 1) {
        FUZZ_CHECK(flow__vchan_orders_choose(size[kind >> 1 & 3],
                                             size[kind >> 3 & 3], &orders));
        FUZZ_CHECK(flow__vchan_sets_new(hyp, 2, orders, false, none,
                                        ret_sets) == FLOW_OK);
        FUZZ_CHECK(flow__vchan_conn_offer(&conn, *ret_sets, &err) == FLOW_OK);
        ((struct vchan_page *)(void *)place[0])->cli_live = VCHAN_LIVE_HERE;
    } else {
        publish(in);
        conn = (struct vchan_conn){ .hyp = hyp, .peer = 2 };
        if (flow__vchan_conn_join(&conn, CONTROL_REF, 1, false, &rx, &tx,
                                  &err) != FLOW_OK)
            return false;
    }
    FUZZ_CHECK(flow__vchan_new(flow_env_default(), &opt, &conn, NULL, 2, "/x",
                               ret_vchan, &err) == FLOW_OK);
    if (!(kind & 1)) {
        (*ret_vchan)->rx = rx;
        (*ret_vchan)->tx = tx;
    }
    return true;
}

/* The statuses of each direction so far: errors and ends must be sticky. */
struct memory {
    enum flow_status read;
    enum flow_status write;
};

static void
remember(enum flow_status *kept, enum flow_status st)
{
    FUZZ_CHECK(*kept == FLOW_OK || *kept == st);
    if (st != FLOW_OK && st != FLOW_AGAIN && st != FLOW_E_INVAL)
        *kept = st;
}

static void
lease(struct flow *f, enum flow_dir dir, size_t want, struct memory *m)
{
    struct flow_vec span[2];
    enum flow_status st = flow_lease(f, dir, want, span);

    if (st == FLOW_OK) {
        size_t len = span[0].len + span[1].len;

        FUZZ_CHECK(len >= 1);
        if (dir == FLOW_WRITE)
            memset(span[0].base, 'w', span[0].len);
        FUZZ_CHECK(flow_commit(f, dir, len / 2, 0) == FLOW_OK);
    } else {
        remember(dir == FLOW_READ ? &m->read : &m->write, st);
    }
}

static void
step(struct input *in, struct flow *f, struct memory *m)
{
    static uint8_t buf[8192];
    struct vchan_page *page = (void *)place[0];
    struct flow_wait_set set;
    uint32_t *word;
    uint8_t kind = take8(in);
    size_t len = (size_t)take8(in) * 16 + 1;
    size_t n;

    switch (kind % 9) {
    case 0:
        remember(&m->read, flow_read(f, buf, len, &n));
        FUZZ_CHECK(n <= len);
        break;
    case 1:
        remember(&m->write, flow_write(f, buf, len, &n));
        FUZZ_CHECK(n <= len);
        break;
    case 2:
        flow_wait_set_init(&set);
        flow_wait_sources(f, FLOW_READY_READ | FLOW_READY_WRITE, &set);
        break;
    case 3:
        lease(f, FLOW_READ, len, m);
        break;
    case 4:
        lease(f, FLOW_WRITE, len, m);
        break;
    case 5: /* change a word of the page by a small amount */
        word = (uint32_t *)page + (kind / 9) % 6;
        *word += (uint32_t)len;
        break;
    case 6: /* set a word of the page to any value */
        word = (uint32_t *)page + (kind / 9) % 6;
        *word = take32(in);
        break;
    case 7: /* a byte of the page */
        ((uint8_t *)page)[16 + kind / 9 % 8] = take8(in);
        break;
    default: /* the peer reads everything */
        page->left.cons = page->left.prod;
        page->right.cons = page->right.prod;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct memory m = { FLOW_OK, FLOW_OK };
    struct vchan_hyp hyp = { .grants = &grants,
                             .events = &events,
                             .free = fuzz_free };
    struct vchan_sets *sets;
    struct vchan *v;

    prepare();
    flow__vchan_hyp_init(&hyp, flow_env_default());
    if (!start(&in, &hyp, &sets, &v))
        return 0;
    FUZZ_CHECK(flow_open(&v->base) == FLOW_OK);
    while (in.size > 0)
        step(&in, &v->base, &m);
    flow_close(&v->base);
    flow__vchan_sets_close(sets);
    FUZZ_CHECK(hyp.refs == 1);
    return 0;
}
