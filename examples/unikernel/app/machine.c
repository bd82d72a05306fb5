/* SPDX-License-Identifier: ISC */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <flow/machine.h>
#include <flow/tls_mix.h>

#include "../../common/cli.h"
#include "../core/calls.h"

/*
 * There is one thread and no signal, so interrupts need not be masked.  Keys,
 * and what the owner of machine_input looks for, are taken in machine_idle()
 * alone, where the library is between two operations.
 *
 * Invariant: before the sleep everything that has come was taken, and woken was
 * 0 after that; what comes later ends the sleep.
 */

#define MACHINE_NSEC   UINT64_C(1000000000)
#define MACHINE_CTRL_C 3

static const char *machine_seed;
static int machine_order_count;
static struct flow_poller *machine_poller;
static struct machine_input machine_input;

/* --- the port --- */

static uint64_t
machine_now(void *ctx)
{
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MACHINE_NSEC + (uint64_t)now.tv_nsec;
}

static int64_t
machine_wall(void *ctx)
{
    (void)ctx;
    return time(NULL);
}

static void *
machine_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    return align <= sizeof(max_align_t) ? malloc(size)
                                        : aligned_alloc(align, size);
}

static void
machine_free(void *ctx, void *ptr, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    free(ptr);
}

static void
machine_take_keys(void)
{
    char key;

    while (read(STDIN_FILENO, &key, 1) == 1)
        if (key == MACHINE_CTRL_C)
            machine_order();
}

static void
machine_take(void)
{
    machine_take_keys();
    if (machine_input.take != NULL)
        machine_input.take();
}

static void
machine_idle(void *ctx, uint64_t deadline, const uint32_t *woken)
{
    (void)ctx;
    machine_take();
    if (*(const volatile uint32_t *)woken != 0)
        return;
    if (machine_input.sleep != NULL)
        machine_input.sleep(deadline);
    else
        syscall(CALL_WAIT, deadline);
    machine_take();
}

static const struct flow_machine machine = {
    .now = machine_now,
    .wall = machine_wall,
    .random = flow_entropy_random,
    .random_error = flow_entropy_error,
    .alloc = machine_alloc,
    .free = machine_free,
    .idle = machine_idle,
};

/* Without any the library answers FLOW_E_ENTROPY, and names those that there
 * are. */
static void
machine_name_sources(const struct flow_entropy_source *host)
{
    const struct flow_entropy_source *const sources[] = { flow_entropy_rdseed(),
                                                          flow_entropy_rdrand(),
                                                          host };
    const struct flow_entropy_options options = {
        .sources = sources,
        .source_count = sizeof(sources) / sizeof(sources[0]),
        .mix = flow_tls_mix,
        .seed = machine_seed,
        .seed_len = machine_seed != NULL ? strlen(machine_seed) : 0,
        .never_copied = host != NULL,
    };
    struct flow_error err;

    if (flow_entropy_start(&options, &err) != FLOW_OK)
        cli_flow_error("cannot name the sources of entropy", &err);
}

void
machine_start(const char *seed)
{
    machine_seed = seed;
    flow_machine_start(&machine);
    machine_name_sources(NULL);
}

void
machine_add_entropy(const struct flow_entropy_source *host)
{
    machine_name_sources(host);
}

void
machine_set_input(const struct machine_input *input)
{
    machine_input = *input;
}

void
machine_order(void)
{
    machine_order_count++;
    machine_wake();
}

int
machine_orders(void)
{
    return machine_order_count;
}

void
machine_wake(void)
{
    if (machine_poller != NULL)
        flow_poller_wake(machine_poller);
}

void
machine_set_poller(struct flow_poller *poller)
{
    machine_poller = poller;
}
