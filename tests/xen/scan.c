/* SPDX-License-Identifier: ISC */
/*
 * What a domain grants while it serves vchans:
 *
 *     xen_scan DOMID NAME PORT COUNT
 *
 * Relays COUNT connections of 127.0.0.1:PORT, one after another, to the vchan
 * NAME of the domain, and knows therefore each byte that its rings must have.
 * After the end of each connection, with the vchan still attached, it compares
 * every page that the domain grants: a control page byte by byte, and rings
 * with what went through them and zeros elsewhere.  A page that is of no vchan,
 * and a grant to another domain, is an error.  The references below 8 are those
 * of Xen's tools, for the console and the store.
 *
 * It must be the only client.  After each comparison that holds it changes one
 * byte of what it expects, and the comparison has to fail.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xenforeignmemory.h>
#include <xenstore.h>

#include <xen/io/libxenvchan.h>

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/poller.h>
#include <flow/tcp.h>
#include <flow/util.h>
#include <flow/vchan.h>

#define PAGE     4096u
#define ORDER    15u /* of both rings: the default of flow_vchan_listen() */
#define RING     (1u << ORDER)
#define PAGES    (RING / PAGE) /* of each ring */
#define FRAMES   4u            /* of the table of grants */
#define REFS     (FRAMES * PAGE / sizeof(grant_entry_v1_t))
#define TOOLS    8u /* references below are Xen's */
#define SETS     64u
#define PATIENCE UINT64_C(60000000000)
#define TRIES    50u

/* What the rings of one set of pages must have. */
struct past {
    uint32_t ref; /* of its control page */
    uint32_t sent, received;
    uint8_t left[RING], right[RING];
};

static struct scan {
    uint32_t domid;
    const char *name;
    xenforeignmemory_handle *memory;
    const grant_entry_v1_t *grants;
    struct past past[SETS];
    unsigned past_count;
    const uint8_t *page[REFS]; /* of a grant; NULL: there is none */
    bool known[REFS];
    char why[200];
} scan;

static void
die(const char *what, const struct flow_error *err)
{
    char text[300] = "";

    if (err != NULL)
        flow_error_format(err, text, sizeof(text));
    printf("SCAN failed: %s %s\n", what, text);
    exit(1);
}

static bool __attribute__((format(printf, 1, 2)))
differs(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(scan.why, sizeof(scan.why), format, args);
    va_end(args);
    return false;
}

/* --- the relay --- */

/* The set of pages that the next client gets. */
static struct past *
offered(void)
{
    struct xs_handle *store = xs_open(0);
    char path[200];
    struct past *p = scan.past;
    char *text = NULL;
    unsigned tries, len;
    uint32_t ref;

    if (store == NULL)
        die("no store", NULL);
    snprintf(path, sizeof(path), "/local/domain/%u/data/vchan/0/%s/ring-ref",
             scan.domid, scan.name);
    for (tries = 0; text == NULL && tries < TRIES; tries++) {
        text = xs_read(store, XBT_NULL, path, &len);
        if (text == NULL)
            usleep(100000);
    }
    if (text == NULL)
        die("no offer in the store", NULL);
    ref = (uint32_t)strtoul(text, NULL, 10);
    free(text);
    xs_close(store);
    while (p < scan.past + scan.past_count && p->ref != ref)
        p++;
    if (p == scan.past + SETS)
        die("too many sets of pages", NULL);
    if (p == scan.past + scan.past_count)
        scan.past_count++;
    *p = (struct past){ .ref = ref };
    return p;
}

static void
note(uint8_t *ring, uint32_t *total, const uint8_t *bytes, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        ring[(*total + i) % RING] = bytes[i];
    *total += (uint32_t)len;
}

/* Moves what is there; false at the end. */
static bool
move(struct flow *from, struct flow *to, uint8_t *ring, uint32_t *total)
{
    static uint8_t bytes[65536];
    size_t len, written;
    enum flow_status st = flow_read(from, bytes, sizeof(bytes), &len);

    if (st == FLOW_AGAIN)
        return true;
    if (st != FLOW_OK)
        return false;
    note(ring, total, bytes, len);
    if (flow_write_all(to, bytes, len, &written) != FLOW_OK)
        die("one end has left early", NULL);
    return true;
}

static void
relay(struct flow *tcp, struct flow *vchan, struct past *p)
{
    const struct flow_poller_event *event;
    struct flow_poller *poller;
    bool heard = true, open = true;
    size_t count, i;

    if (flow_poller_new(NULL, &poller) != FLOW_OK ||
        flow_poller_add(poller, tcp, FLOW_READY_READ, tcp) != FLOW_OK ||
        flow_poller_add(poller, vchan, FLOW_READY_READ, vchan) != FLOW_OK)
        die("no poller", NULL);
    while (open) {
        if (flow_poller_wait(poller, 2, FLOW_NEVER, &event, &count) != FLOW_OK)
            die("cannot wait", NULL);
        for (i = 0; i < count; i++) {
            if (event[i].flow == vchan)
                open = move(vchan, tcp, p->right, &p->received);
            else if (heard && !move(tcp, vchan, p->left, &p->sent)) {
                heard = false;
                flow_poller_remove(poller, tcp);
            }
        }
    }
    flow_poller_free(poller);
}

/* --- the scan --- */

static bool
is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0)
        len--;
    return len == 0;
}

/* Maps every page that the domain grants. */
static bool
map_grants(void)
{
    xen_pfn_t frame;
    uint32_t ref;
    int error;

    for (ref = TOOLS; ref < REFS; ref++) {
        const grant_entry_v1_t *entry = &scan.grants[ref];

        scan.known[ref] = false;
        scan.page[ref] = NULL;
        if ((entry->flags & GTF_type_mask) == GTF_invalid)
            continue;
        if (entry->domid != 0)
            return differs("reference %u is granted to domain %u", ref,
                           entry->domid);
        frame = entry->frame;
        scan.page[ref] = xenforeignmemory_map(scan.memory, scan.domid,
                                              PROT_READ, 1, &frame, &error);
        if (scan.page[ref] == NULL)
            return differs("the page of reference %u cannot be mapped", ref);
    }
    return true;
}

static void
unmap_grants(void)
{
    uint32_t ref;

    for (ref = TOOLS; ref < REFS; ref++)
        if (scan.page[ref] != NULL)
            xenforeignmemory_unmap(scan.memory,
                                   (void *)(uintptr_t)scan.page[ref], 1);
}

static const struct past *
past_of(uint32_t ref)
{
    unsigned i;

    for (i = 0; i < scan.past_count; i++)
        if (scan.past[i].ref == ref)
            return &scan.past[i];
    return NULL;
}

/* A ring, with what it must have or, for NULL, with zeros. */
static bool
check_ring(const uint32_t *refs, const uint8_t *want)
{
    uint32_t i, at;

    for (i = 0; i < PAGES; i++) {
        const uint8_t *page = refs[i] < REFS ? scan.page[refs[i]] : NULL;

        if (page == NULL || scan.known[refs[i]])
            return differs("reference %u is not that of a ring", refs[i]);
        scan.known[refs[i]] = true;
        for (at = 0; at < PAGE; at++)
            if (page[at] != (want != NULL ? want[i * PAGE + at] : 0))
                return differs("byte %u of a ring, of reference %u, is 0x%02x",
                               i * PAGE + at, refs[i], page[at]);
    }
    return true;
}

static bool
is_control(const uint8_t *page)
{
    const struct vchan_interface *v = (const void *)page;

    return v->left_order == ORDER && v->right_order == ORDER;
}

static bool
check_control(uint32_t ref)
{
    const struct vchan_interface *v = (const void *)scan.page[ref];
    const struct past *p = past_of(ref);
    size_t used = sizeof(*v) + 2 * PAGES * sizeof(v->grants[0]);

    if (v->cli_live > 2 || v->srv_live > 1 || v->cli_notify > 3 ||
        v->srv_notify > 3 || !is_zero(scan.page[ref] + used, PAGE - used))
        return differs("the control page of reference %u has more than it "
                       "should",
                       ref);
    if (is_zero(scan.page[ref], 16))
        p = NULL; /* offered anew */
    else if (p == NULL || v->left.prod != p->sent ||
             v->right.prod != p->received || v->right.cons != p->received ||
             p->sent - v->left.cons > RING)
        return differs("the indexes of reference %u are not those of its flow",
                       ref);
    scan.known[ref] = true;
    return check_ring(v->grants, p != NULL ? p->left : NULL) &&
           check_ring(v->grants + PAGES, p != NULL ? p->right : NULL);
}

/* Whether every page is one of a vchan.  Counts the pages and the vchans. */
static bool
check_pages(unsigned *ret_pages, unsigned *ret_sets)
{
    uint32_t ref;

    *ret_pages = *ret_sets = 0;
    for (ref = TOOLS; ref < REFS; ref++)
        if (scan.page[ref] != NULL && is_control(scan.page[ref])) {
            ++*ret_sets;
            if (!check_control(ref))
                return false;
        }
    for (ref = TOOLS; ref < REFS; ref++)
        if (scan.page[ref] != NULL) {
            ++*ret_pages;
            if (!scan.known[ref])
                return differs("the page of reference %u is of no vchan", ref);
        }
    return true;
}

/* Looks again at pages that may be about to be zeroed. */
static void
judge(const struct past *p)
{
    unsigned tries, pages = 0, sets = 0;
    bool good = false;

    for (tries = 0; !good && tries < TRIES; tries++) {
        if (tries > 0)
            usleep(100000);
        good = map_grants() && check_pages(&pages, &sets);
        unmap_grants();
    }
    if (!good)
        die(scan.why, NULL);
    printf("SCAN ok: %u pages of %u vchans; %u bytes went there, %u came\n",
           pages, sets, p->sent, p->received);
}

/* Whether a comparison finds one byte that differs. */
static void
doubt(struct past *p)
{
    uint8_t *byte = &p->right[p->received / 2 % RING];
    unsigned pages, sets;

    *byte ^= 1;
    if (!map_grants())
        die(scan.why, NULL);
    if (check_pages(&pages, &sets))
        die("a byte that differs was not found", NULL);
    unmap_grants();
    *byte ^= 1;
}

/* --- all of it --- */

static void
serve_one(struct flow_listener *l)
{
    struct flow_vchan_options opt = { .timeout = PATIENCE };
    struct flow *tcp, *vchan;
    struct flow_error err;
    struct past *p;

    if (flow_accept_wait(l, &tcp) != FLOW_OK)
        die("no connection", NULL);
    p = offered();
    if (flow_vchan_connect(NULL, scan.domid, scan.name, &opt, &vchan, &err) !=
        FLOW_OK)
        die("connect:", &err);
    if (flow_open_wait(vchan) != FLOW_OK) {
        flow_get_error(vchan, FLOW_READ, &err);
        die("open:", &err);
    }
    relay(tcp, vchan, p);
    flow_close(tcp);
    judge(p);
    doubt(p);
    flow_close(vchan);
    judge(p);
}

static void
open_grants(void)
{
    void *table = NULL;

    scan.memory = xenforeignmemory_open(NULL, 0);
    if (scan.memory == NULL ||
        xenforeignmemory_map_resource(scan.memory, (domid_t)scan.domid,
                                      XENMEM_resource_grant_table,
                                      XENMEM_resource_grant_table_id_shared, 0,
                                      FRAMES, &table, PROT_READ, 0) == NULL)
        die("the table of grants cannot be mapped", NULL);
    scan.grants = table;
}

int
main(int argc, char **argv)
{
    struct flow_listener *l;
    struct flow_error err;
    unsigned long count;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 5) {
        fprintf(stderr, "usage: %s DOMID NAME PORT COUNT\n", argv[0]);
        return 2;
    }
    scan.domid = (uint32_t)strtoul(argv[1], NULL, 10);
    scan.name = argv[2];
    if (flow_tcp_listen(NULL, "127.0.0.1", (uint16_t)strtoul(argv[3], NULL, 10),
                        NULL, &l, &err) != FLOW_OK)
        die("listen:", &err);
    open_grants();
    printf("SCAN listens\n");
    for (count = strtoul(argv[4], NULL, 10); count > 0; count--)
        serve_one(l);
    flow_listener_close(l);
    return 0;
}
