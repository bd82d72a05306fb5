/* SPDX-License-Identifier: ISC */
/*
 * A client that never unmaps a page, and a server for such a client:
 *
 *     xen_hoarder dial DOMID PATH COUNT    attaches and disconnects COUNT
 * times, and keeps every page mapped xen_hoarder serve DOMID PATH COUNT accepts
 * COUNT times, and prints what that cost this domain
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include <xen/io/libxenvchan.h>

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/vchan.h>

#define RING    16384u
#define PAGE    4096u
#define REFS    (2 * RING / PAGE)
#define TIMEOUT UINT64_C(60000000000)

static void
die(const char *what)
{
    printf("HOARDER failed: %s\n", what);
    exit(1);
}

/* Number of page sets after which a server that grants more is given up. */
#define SETS 1024u

/* A set that stays mapped, by the reference of its control page.  Xen lets a
 * page be mapped 128 times, so a set that is mapped already is not mapped
 * again. */
struct kept {
    uint32_t ref;
    struct vchan_interface *page;
    bool rings;
};

struct hoarder {
    struct xs_handle *store;
    xengnttab_handle *grants;
    uint32_t server;
    const char *path;
    struct kept kept[SETS];
    unsigned sets;
};

static bool
read_key(struct hoarder *h, const char *key, uint32_t *ret_number)
{
    char path[256];
    unsigned len;
    char *text;

    snprintf(path, sizeof(path), "%s/%s", h->path, key);
    text = xs_read(h->store, XBT_NULL, path, &len);
    if (text == NULL)
        return false;
    *ret_number = (uint32_t)strtoul(text, NULL, 10);
    free(text);
    return true;
}

/* The set of a reference, mapped now or earlier; NULL if that fails. */
static struct kept *
keep(struct hoarder *h, uint32_t ref)
{
    struct kept *k = h->kept;

    while (k < h->kept + h->sets && k->ref != ref)
        k++;
    if (k < h->kept + h->sets)
        return k;
    if (h->sets == SETS)
        die("too many sets");
    k->ref = ref;
    k->rings = false;
    k->page = xengnttab_map_grant_ref(h->grants, h->server, ref,
                                      PROT_READ | PROT_WRITE);
    h->sets += k->page != NULL;
    return k->page != NULL ? k : NULL;
}

/* Whether this client is attached now. */
static bool
attach(struct hoarder *h, struct kept *k)
{
    uint32_t refs[REFS];
    uint8_t never = 2;

    memcpy(refs, k->page->grants, sizeof(refs));
    if (k->page->srv_live != 1 ||
        !__atomic_compare_exchange_n(&k->page->cli_live, &never, 1, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    if (!k->rings && xengnttab_map_domain_grant_refs(h->grants, REFS, h->server,
                                                     refs, PROT_READ) == NULL)
        die("the rings cannot be mapped");
    k->rings = true;
    return true;
}

/* Attach and disconnect; false if there was no offer. */
static bool
visit(struct hoarder *h)
{
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    struct kept *k = NULL;
    bool done = false;
    uint32_t remote;
    uint32_t ref;
    int port = -1;

    if (events == NULL)
        die("no event channels");
    if (read_key(h, "event-channel", &remote) && read_key(h, "ring-ref", &ref))
        port = xenevtchn_bind_interdomain(events, h->server, remote);
    if (port >= 0)
        k = keep(h, ref);
    if (k != NULL)
        done = attach(h, k);
    if (done) {
        __atomic_store_n(&k->page->cli_live, 0, __ATOMIC_SEQ_CST);
        xenevtchn_notify(events, (evtchn_port_t)port);
    }
    xenevtchn_close(events);
    return done;
}

static void
dial(struct hoarder *h, unsigned count)
{
    unsigned patience = 60000;

    h->store = xs_open(0);
    h->grants = xengnttab_open(NULL, 0);
    if (h->store == NULL || h->grants == NULL)
        die("no store, or no grants");
    for (unsigned i = 0; i < count;) {
        if (visit(h)) {
            i++;
        } else if (patience-- == 0) {
            printf("HOARDER came %u times\n", i);
            die("no more offers");
        } else {
            usleep(1000);
        }
    }
    printf("HOARDER came %u times and keeps %u pages\n", count,
           h->sets * (1 + REFS));
    for (;;)
        pause();
}

/* KiB that this domain could still give to programs. */
static long
available(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    long kib = -1;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "MemAvailable: %ld kB", &kib) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kib;
}

static uint32_t
ask(struct flow_listener *l, enum flow_query_key key)
{
    uint32_t number = 0;
    size_t len = sizeof(number);

    if (flow_listener_query(l, key, &number, &len) != FLOW_OK)
        die("a question is not answered");
    return number;
}

static void
serve(uint32_t domid, const char *path, unsigned count)
{
    const struct flow_vchan_options opt = { .read_size = RING,
                                            .write_size = RING };
    const struct flow_env *env = flow_env_default();
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    long before;

    if (flow_vchan_listen(NULL, domid, path, &opt, &l, &err) != FLOW_OK)
        die(err.text);
    before = available();
    for (unsigned i = 0; i < count; i++) {
        flow_listener_set_deadline(l, env->now(env->ctx) + TIMEOUT);
        if (flow_accept_wait(l, &f) != FLOW_OK) {
            printf("HOARDER was served %u times\n", i);
            die("accept");
        }
        flow_close(f);
    }
    printf("HOARDER cost %u connections: %u pages granted, %u pinned, "
           "%ld KiB less memory\n",
           count, ask(l, FLOW_QUERY_GRANTED_PAGES),
           ask(l, FLOW_QUERY_PINNED_PAGES), before - available());
    flow_listener_close(l);
}

int
main(int argc, char **argv)
{
    static struct hoarder h;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 5) {
        fprintf(stderr, "usage: %s serve|dial DOMID PATH COUNT\n", argv[0]);
        return 2;
    }
    h.server = (uint32_t)strtoul(argv[2], NULL, 10);
    h.path = argv[3];
    if (strcmp(argv[1], "serve") == 0)
        serve(h.server, h.path, (unsigned)strtoul(argv[4], NULL, 10));
    else
        dial(&h, (unsigned)strtoul(argv[4], NULL, 10));
    return 0;
}
