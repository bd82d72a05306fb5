/* SPDX-License-Identifier: ISC */
#include "xen.h"

#include <errno.h>

#include "../../core/bytes.h"
#include "../../core/memory.h"
#include "../../core/report.h"

/*
 * What the app, in ring 3, needs to reach other domains: pages, and a few
 * hypercalls (docs/decisions/0112).
 *
 * Xen reads and writes the argument of a hypercall as ring 0 does, wherever it
 * lies.  So an argument is copied into the core, and only operations that point
 * to nothing but that are made for the app.
 *
 * Invariants: the app neither closes nor sends to the port of the console,
 * which is the core's.  No operation changes what is mapped or who runs.
 */

#define GUEST_GRANT_SPACE  1 /* XENMAPSPACE_grant_table */
#define GUEST_GRANT_FRAMES 4 /* of 512 references */
#define GUEST_STORE_PAGE   1 /* HVM_PARAM_STORE_PFN */
#define GUEST_STORE_PORT   2 /* HVM_PARAM_STORE_EVTCHN */

#define GUEST_POLL      3 /* SCHEDOP_poll, and the ports that it takes */
#define GUEST_POLL_MAX  128
#define GUEST_EVENT_MAX 24 /* bytes of an argument */

static uint8_t guest_grants[GUEST_GRANT_FRAMES][MEMORY_PAGE]
    __attribute__((aligned(MEMORY_PAGE)));

/* struct sched_poll of xen/sched.h. */
struct guest_poll {
    uint64_t ports;
    uint32_t count, zero;
    uint64_t timeout;
};

/* The operations on event channels (xen/event_channel.h), and the bytes of
 * their arguments. */
static const struct {
    uint64_t operation;
    size_t size;
    bool begins_with_port;
} guest_events[] = {
    { 3, 4, true },                /* EVTCHNOP_close */
    { 4, 4, true },                /* EVTCHNOP_send */
    { 5, GUEST_EVENT_MAX, false }, /* EVTCHNOP_status */
    { 6, 8, false },               /* EVTCHNOP_alloc_unbound */
};

static void
guest_start(struct calls_guest *ret)
{
    uintptr_t page;
    size_t i;

    for (i = 0; i < GUEST_GRANT_FRAMES; i++) {
        page = (uintptr_t)guest_grants[i];
        if (!domain_place(GUEST_GRANT_SPACE, i, page))
            report_panic("Xen does not share its table of grants");
        memory_lend(page);
    }
    memory_lend(shared_info_page());
    page = domain_parameter(GUEST_STORE_PAGE) * MEMORY_PAGE;
    memory_map_shared(page);
    memory_lend(page);
    ret->shared_info = shared_info_page();
    ret->grant_table = (uintptr_t)guest_grants;
    ret->grant_frames = GUEST_GRANT_FRAMES;
    ret->store = page;
    ret->store_port = (uint32_t)domain_parameter(GUEST_STORE_PORT);
}

static int64_t
guest_event(uint64_t operation, uintptr_t argument)
{
    uint32_t copy[GUEST_EVENT_MAX / sizeof(uint32_t)];
    int64_t result;
    size_t i;

    for (i = 0; i < sizeof(guest_events) / sizeof(guest_events[0]); i++)
        if (guest_events[i].operation == operation)
            break;
    if (i == sizeof(guest_events) / sizeof(guest_events[0]))
        return -ENOSYS;
    if (!memory_is_writable(argument, guest_events[i].size))
        return -EFAULT;
    bytes_copy(copy, (const void *)argument, guest_events[i].size);
    if (guest_events[i].begins_with_port && copy[0] == ring_port())
        return -EPERM;
    result = hypercall_make(XEN_EVENT_OP, operation, (uintptr_t)copy, 0);
    bytes_copy((void *)argument, copy, guest_events[i].size);
    return result;
}

/* The console's port is added where there is room for it; without, a key is
 * seen after the sleep. */
static int64_t
guest_sleep(uintptr_t argument)
{
    uint32_t ports[GUEST_POLL_MAX];
    struct guest_poll poll;

    if (!memory_is_readable(argument, sizeof(poll)))
        return -EFAULT;
    bytes_copy(&poll, (const void *)argument, sizeof(poll));
    if (poll.count > GUEST_POLL_MAX)
        return -EINVAL;
    if (!memory_is_readable(poll.ports, poll.count * sizeof(ports[0])))
        return -EFAULT;
    bytes_copy(ports, (const void *)poll.ports, poll.count * sizeof(ports[0]));
    if (poll.count < GUEST_POLL_MAX)
        ports[poll.count++] = ring_port();
    shared_info_poll(ports, poll.count, poll.timeout);
    shared_info_clear(ring_port());
    return 0;
}

static int64_t
guest_hypercall(uint64_t number, uint64_t operation, uintptr_t argument)
{
    if (number == XEN_EVENT_OP)
        return guest_event(operation, argument);
    if (number == XEN_SCHED_OP && operation == GUEST_POLL)
        return guest_sleep(argument);
    return -ENOSYS;
}

const struct plat_guest guest = {
    .start = guest_start,
    .hypercall = guest_hypercall,
};
