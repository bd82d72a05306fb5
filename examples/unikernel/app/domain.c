/* SPDX-License-Identifier: ISC */
#include "domain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <flow/guest.h>
#include <flow/vchan.h>

#include "../../common/cli.h"
#include "../core/calls.h"
#include "machine.h"
#include "serve.h"

/*
 * A domain of Xen, for <flow/guest.h>: hypercalls through the core, and memory
 * whose addresses are those of the machine, since the core maps it so.
 *
 * Granted pages come from mmap(2), so nothing else of the app lies in them.
 *
 * There are no windows: this domain accepts vchans and does not connect any.
 *
 * Watches are looked at while the machine idles, where nothing may wait; the
 * store is asked in domain_take_orders().
 */

#define DOMAIN_PAGE     ((size_t)4096)
#define DOMAIN_SHUTDOWN "control/shutdown"

static struct flow_guest_watch *domain_shutdown;
static bool domain_told; /* to look at the node */

/* --- the table of <flow/guest.h> --- */

static int64_t
domain_hypercall(void *ctx, uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
    long result = syscall(CALL_GUEST_HYPERCALL, number, a, b);

    (void)ctx;
    (void)c;
    return result == -1 ? -errno : result;
}

static void *
domain_pages(void *ctx, uint32_t count)
{
    void *pages = mmap(NULL, count * DOMAIN_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)ctx;
    return pages != MAP_FAILED ? pages : NULL;
}

static void
domain_pages_free(void *ctx, void *base, uint32_t count)
{
    (void)ctx;
    munmap(base, count * DOMAIN_PAGE);
}

static uint64_t
domain_address(void *ctx, const void *page)
{
    (void)ctx;
    return (uintptr_t)page;
}

static void *
domain_window(void *ctx, uint32_t count)
{
    (void)ctx;
    (void)count;
    return NULL;
}

static void
domain_window_free(void *ctx, void *base, uint32_t count)
{
    (void)ctx;
    (void)base;
    (void)count;
}

static struct flow_guest domain = {
    .hypercall = domain_hypercall,
    .pages = domain_pages,
    .pages_free = domain_pages_free,
    .address = domain_address,
    .window = domain_window,
    .window_free = domain_window_free,
};

/* --- orders --- */

static void
domain_take(void)
{
    if (domain_shutdown == NULL || !flow_guest_watch_fired(domain_shutdown))
        return;
    domain_told = true;
    machine_wake();
}

static void
domain_take_orders(void)
{
    char order[16];
    struct flow_guest_request request = {
        .op = FLOW_GUEST_STORE_READ,
        .path = DOMAIN_SHUTDOWN,
        .answer = order,
        .size = sizeof(order) - 1,
    };
    size_t len;

    if (!domain_told)
        return;
    domain_told = false;
    if (flow_guest_store(&request, &len, NULL) != FLOW_OK || len == 0)
        return;
    order[len] = '\0';
    printf("ordered: %s\n", order);
    /* An empty value tells the tools that the order was taken. */
    request = (struct flow_guest_request){ .op = FLOW_GUEST_STORE_WRITE,
                                           .path = DOMAIN_SHUTDOWN,
                                           .value = "" };
    if (flow_guest_store(&request, &len, NULL) != FLOW_OK)
        cli_complain("cannot answer the order in the store");
    machine_order();
}

/* --- the domain --- */

static bool
domain_find_pages(void)
{
    struct calls_guest found;

    if (syscall(CALL_GUEST_START, &found) != 0)
        return false;
    domain.shared_info = (void *)(uintptr_t)found.shared_info;
    domain.grant_table = (void *)(uintptr_t)found.grant_table;
    domain.grant_frames = found.grant_frames;
    domain.store = (void *)(uintptr_t)found.store;
    domain.store_port = found.store_port;
    return true;
}

static bool
domain_start(void)
{
    static const struct machine_input input = { .take = domain_take,
                                                .sleep = flow_guest_idle };
    struct flow_error err;

    if (!domain_find_pages()) {
        cli_complain("this machine is not a domain of Xen");
        return false;
    }
    if (flow_guest_start(NULL, &domain, &err) == FLOW_OK &&
        flow_guest_watch_open(DOMAIN_SHUTDOWN, &domain_shutdown, &err) ==
            FLOW_OK) {
        machine_set_input(&input);
        return true;
    }
    cli_flow_error("cannot start the domain", &err);
    return false;
}

/* If the host has xentropyd. */
static void
domain_add_entropy(void)
{
    const struct flow_entropy_source *host;
    struct flow_error err;

    if (flow_guest_entropy(&host, &err) == FLOW_OK)
        machine_add_entropy(host);
    else if (err.status != FLOW_E_NOTSUP)
        cli_flow_error("cannot use the entropy of the host", &err);
}

static bool
domain_listen(struct serve_place *place)
{
    const char *slash = strchr(place->name, '/');
    struct flow_error err;
    unsigned long peer;
    char number[8];

    if (slash == NULL || (size_t)(slash - place->name) >= sizeof(number)) {
        cli_complain("vchan: '%s' is not DOMAIN/NAME", place->name);
        return false;
    }
    memcpy(number, place->name, (size_t)(slash - place->name));
    number[slash - place->name] = '\0';
    if (!cli_number("vchan", number, 0, 0x7fef, &peer))
        return false;
    if (flow_vchan_listen(NULL, (uint32_t)peer, slash + 1, NULL, &place->lower,
                          &err) == FLOW_OK)
        return true;
    cli_flow_error("cannot listen", &err);
    return false;
}

int
domain_serve(const char *place_name)
{
    struct serve_place place = { .listen = domain_listen,
                                 .name = place_name,
                                 .take_orders = domain_take_orders,
                                 /* small.cross has no TLS 1.2. */
                                 .tls13_alone = true };
    int code;

    if (!domain_start())
        return CLI_FAILED;
    domain_add_entropy();
    code = serve(&place);
    flow_guest_watch_close(domain_shutdown);
    domain_shutdown = NULL;
    /* Peers that are still attached. */
    flow_guest_stop();
    return code;
}
