/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/plat/fake/fake.h"

/* The kernel delivers on loopback within this, in ms. */
#define FAKE_DELIVERY 20
/* Limit of a sleep that only a descriptor can end, in ms. */
#define FAKE_PATIENCE 5000

/* In front of every block, to check its release. */
struct fake_header {
    void *raw;
    size_t size;
    size_t align;
    uint64_t magic;
};

#define FAKE_LIVE UINT64_C(0x6c697665626c6f63)
#define FAKE_DEAD UINT64_C(0x64656164626c6f63)

static uint64_t
fake_now(void *ctx)
{
    const struct flow__fake *fake = ctx;

    return fake->now;
}

static int64_t
fake_wall(void *ctx)
{
    const struct flow__fake *fake = ctx;

    return fake->wall;
}

static bool
fake_must_fail(struct flow__fake *fake)
{
    fake->allocs++;
    if (fake->fail_at == 0)
        return false;
    return fake->fail_all ? fake->allocs >= fake->fail_at
                          : fake->allocs == fake->fail_at;
}

static void *
fake_alloc(void *ctx, size_t size, size_t align)
{
    struct flow__fake *fake = ctx;
    struct fake_header *header;
    uint8_t *raw, *ptr;

    if (size == 0 || (align != 0 && !flow__is_power_of_two(align)))
        abort();
    if (fake_must_fail(fake))
        return NULL;
    if (align < alignof(max_align_t))
        align = alignof(max_align_t);
    raw = malloc(size + sizeof(*header) + align);
    if (raw == NULL)
        return NULL;
    ptr = raw + sizeof(*header);
    ptr += (0 - (uintptr_t)ptr) & (align - 1);
    header = (struct fake_header *)(void *)ptr - 1;
    *header = (struct fake_header){ raw, size, align, FAKE_LIVE };
    /* So that no code relies on the old contents. */
    memset(ptr, 0xa5, size);
    fake->live_blocks++;
    fake->live_bytes += size;
    fake->peak_bytes = flow__max(fake->peak_bytes, fake->live_bytes);
    return ptr;
}

static void
fake_free(void *ctx, void *ptr, size_t size, size_t align)
{
    struct flow__fake *fake = ctx;
    struct fake_header *header = (struct fake_header *)ptr - 1;

    align = flow__max(align, alignof(max_align_t));
    if (header->magic != FAKE_LIVE || header->size != size ||
        header->align != align)
        abort();
    header->magic = FAKE_DEAD;
    fake->live_blocks--;
    fake->live_bytes -= size;
    memset(ptr, 0x5a, size);
    free(header->raw);
}

/* SplitMix64: not for keys, but the same everywhere. */
static uint64_t
fake_next_random(struct flow__fake *fake)
{
    uint64_t z;

    fake->entropy += UINT64_C(0x9e3779b97f4a7c15);
    z = fake->entropy;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool
fake_random(void *ctx, void *buf, size_t len)
{
    struct flow__fake *fake = ctx;
    uint8_t *at = buf;
    size_t i;

    if (fake->no_entropy)
        return false;
    for (i = 0; i < len; i++)
        at[i] = (uint8_t)fake_next_random(fake);
    return true;
}

static bool
fake_poll_fds(const struct flow_wait_set *set, int timeout)
{
    struct pollfd fds[FLOW_WAIT_SOURCES];
    nfds_t count = 0;
    size_t i;

    for (i = 0; i < set->count; i++) {
        if (set->source[i].kind != FLOW_WAIT_FD)
            continue;
        fds[count].fd = set->source[i].fd;
        fds[count].events = 0;
        if (set->source[i].events & FLOW_WAIT_IN)
            fds[count].events |= POLLIN;
        if (set->source[i].events & FLOW_WAIT_OUT)
            fds[count].events |= POLLOUT;
        count++;
    }
    return count > 0 && poll(fds, count, timeout) > 0;
}

static bool
fake_is_signalled(const struct flow_wait_set *set)
{
    const struct flow_wait_source *source;
    size_t i;

    for (i = 0; i < set->count; i++) {
        source = &set->source[i];
        if (source->kind == FLOW_WAIT_EVENT &&
            flow_event_sequence(source->event) != source->sequence)
            return true;
    }
    return false;
}

/* There is one thread, so no event is signalled while it sleeps, and only
 * descriptors and time can end the sleep. */
static enum flow_status
fake_wait(void *ctx, struct flow_wait_set *set, uint64_t deadline)
{
    struct flow__fake *fake = ctx;

    fake->waits++;
    deadline = flow_deadline_min(deadline, set->deadline);
    if (fake_is_signalled(set) ||
        (deadline != FLOW_NEVER && deadline <= fake->now))
        return FLOW_OK;
    if (fake_poll_fds(set,
                      deadline == FLOW_NEVER ? FAKE_PATIENCE : FAKE_DELIVERY))
        return FLOW_OK;
    if (deadline == FLOW_NEVER)
        return FLOW_E_SYS;
    fake->jumps++;
    fake->now = deadline;
    return FLOW_OK;
}

void
flow__fake_init(struct flow__fake *fake, uint64_t seed)
{
    *fake = (struct flow__fake){
        .env = {
            .ctx = fake,
            .now = fake_now,
            .wall = fake_wall,
            .alloc = fake_alloc,
            .free = fake_free,
            .random = fake_random,
            .wait = fake_wait,
        },
        .now = 1000000000,
        .wall = 1767225600, /* 2026-01-01 */
        .entropy = seed,
    };
}

void
flow__fake_advance(struct flow__fake *fake, uint64_t nsec)
{
    fake->now += nsec;
}
