/* SPDX-License-Identifier: ISC */
#include "xen.h"

#include "../../core/memory.h"
#include "../../core/report.h"
#include "../x86/cpu.h"

/*
 * The page that Xen shares with the domain (xen/xen.h, struct shared_info).
 *
 * Every port stays masked, so no interrupt comes: the domain sleeps in the
 * hypervisor, which looks at the pending bits of the ports that it is given.
 *
 * Xen changes the times while the domain runs, and makes their version odd as
 * long as it does; so they are read until the version was even and the same
 * before and after.
 */

#define SHARED_INFO_SPACE 0 /* XENMAPSPACE_shared_info */
#define SHARED_INFO_SEND  4 /* EVTCHNOP_send */
#define SHARED_INFO_POLL  3 /* SCHEDOP_poll */

/* The longest sleep. */
#define SHARED_INFO_SLEEP_MAX UINT64_C(2000000000)

struct shared_info_time {
    uint32_t version, zero;
    uint64_t stamp;  /* of the processor, at */
    uint64_t system; /* this time, in ns */
    uint32_t scale;  /* ns in a tick, times 2^32, after */
    int8_t shift;    /* the ticks were shifted left */
    uint8_t flags, zero2[2];
};

struct shared_info {
    struct {
        uint8_t pending, mask, zero[6];
        uint64_t selector;
        uint64_t arch[2];
        struct shared_info_time time;
    } processor[32];
    uint64_t pending[64];
    uint64_t mask[64];
    uint32_t date_version, date, date_nsec, date_high; /* at system time 0 */
    uint8_t rest[1008];
};

static volatile struct shared_info shared_info
    __attribute__((aligned(MEMORY_PAGE)));
static uint64_t shared_info_began;

static uint64_t
shared_info_system(void)
{
    const volatile struct shared_info_time *time =
        &shared_info.processor[0].time;
    uint64_t ticks, system;
    uint32_t version;
    int shift;

    do {
        version = time->version;
        cpu_order();
        ticks = cpu_time_stamp() - time->stamp;
        shift = time->shift;
        ticks = shift < 0 ? ticks >> -shift : ticks << shift;
        system = time->system + cpu_scale(ticks, time->scale);
        cpu_order();
    } while ((version & 1) != 0 || version != time->version);
    return system;
}

void
shared_info_start(void)
{
    size_t i;

    if (!domain_place(SHARED_INFO_SPACE, 0, (uintptr_t)&shared_info))
        report_panic("Xen does not share its page of information");
    for (i = 0; i < sizeof(shared_info.mask) / sizeof(shared_info.mask[0]); i++)
        shared_info.mask[i] = UINT64_MAX;
    shared_info_began = shared_info_system();
}

uint64_t
shared_info_now(void)
{
    return shared_info_system() - shared_info_began;
}

int64_t
shared_info_wall(void)
{
    uint32_t version, low, high;

    do {
        version = shared_info.date_version;
        cpu_order();
        low = shared_info.date;
        high = shared_info.date_high;
        cpu_order();
    } while ((version & 1) != 0 || version != shared_info.date_version);
    return ((int64_t)high << 32 | low) +
           (int64_t)(shared_info_system() / 1000000000);
}

void
shared_info_send(uint32_t port)
{
    hypercall_make(XEN_EVENT_OP, SHARED_INFO_SEND, (uintptr_t)&port, 0);
}

void
shared_info_poll(uint32_t *ports, uint32_t count, uint64_t deadline)
{
    uint64_t end = shared_info_now() + SHARED_INFO_SLEEP_MAX;
    struct {
        uint32_t *ports;
        uint32_t count, zero;
        uint64_t timeout;
    } poll = { .ports = ports, .count = count };

    if (deadline != 0 && deadline < end)
        end = deadline;
    poll.timeout = shared_info_began + end;
    hypercall_make(XEN_SCHED_OP, SHARED_INFO_POLL, (uintptr_t)&poll, 0);
}

void
shared_info_clear(uint32_t port)
{
    /* Only this processor and Xen, which sets bits atomically, write here. */
    __asm__ volatile("lock andq %1, %0"
                     : "+m"(shared_info.pending[port / 64 % 64])
                     : "r"(~(UINT64_C(1) << port % 64))
                     : "memory");
}

uintptr_t
shared_info_page(void)
{
    return (uintptr_t)&shared_info;
}
