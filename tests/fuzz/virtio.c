/* SPDX-License-Identifier: ISC */
/*
 * The example unikernel's driver of a network card, with a device that the
 * input plays: what it writes to its rings and registers, before calls and in
 * the middle of them, wherever the driver orders its accesses.
 *
 * Whatever the device does, the driver copies no byte that is not one of a
 * buffer, counts its buffers right, and goes on, or ends in a panic.
 *
 *   steps: a kind and its arguments, see take_step()
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "examples/unikernel/core/bytes.h"
#include "examples/unikernel/core/memory.h"
#include "examples/unikernel/core/report.h"
#include "examples/unikernel/plat/pc/pc.h"
#include "examples/unikernel/plat/pc/virtqueue.h"
#include "examples/unikernel/plat/x86/cpu.h"
#include "tests/fuzz/fuzz.h"

#define REGISTERS  0x200
#define INTERRUPTS (0x060 / 4)

static struct {
    const uint8_t *data;
    size_t size;
} in;

/* The registers do what memory does. */
static uint32_t registers[REGISTERS / 4];
static struct virtqueue *queue[2]; /* that of received frames first */
static unsigned queue_count;
static bool is_running; /* the driver is, so the device may act */
static jmp_buf panicked;
/* The frame of a call, of a size that a sanitizer knows. */
static uint8_t *received;

void __real_virtqueue_init(struct virtqueue *q, const char *name,
                           bool is_device_writing);
void __wrap_virtqueue_init(struct virtqueue *q, const char *name,
                           bool is_device_writing);

/* Memory is zero at the start of a machine. */
void
__wrap_virtqueue_init(struct virtqueue *q, const char *name,
                      bool is_device_writing)
{
    memset(q, 0, sizeof(*q));
    __real_virtqueue_init(q, name, is_device_writing);
    queue[queue_count++] = q;
}

_Noreturn void
report_panic(const char *format, ...)
{
    FUZZ_CHECK(format[0] != '\0');
    longjmp(panicked, 1);
}

void
memory_map_device(uintptr_t address)
{
    FUZZ_CHECK(address == (uintptr_t)registers);
}

void
interrupt_route(unsigned line)
{
    FUZZ_CHECK(line == 5);
}

void
bytes_copy(void *to, const void *from, size_t len)
{
    memcpy(to, from, len);
}

void
bytes_zero(void *to, size_t len)
{
    memset(to, 0, len);
}

/* --- the device --- */

static uint8_t
take8(void)
{
    if (in.size == 0)
        return 0;
    in.size--;
    return *in.data++;
}

static uint16_t
take16(void)
{
    uint16_t low = take8();

    return (uint16_t)(low | take8() << 8);
}

/* The device gives back a buffer. */
static void
give(struct virtqueue *q, uint32_t id, uint32_t len)
{
    uint16_t place = q->used.index % VIRTQUEUE_SIZE;

    q->used.ring[place].id = id;
    q->used.ring[place].len = len;
    q->used.index++;
}

/* A device that keeps to the rules gives back the oldest buffer. */
static void
give_oldest(struct virtqueue *q, uint32_t len)
{
    if (q->used.index != q->available.index)
        give(q, q->available.ring[q->used.index % VIRTQUEUE_SIZE], len);
}

static void
device_acts(void)
{
    struct virtqueue *q = queue[take8() % 2];
    uint8_t kind = take8();

    switch (kind % 8) {
    case 0: /* nothing */
        break;
    case 1:
    case 2:
        give_oldest(q, take16());
        break;
    case 3:
        give(q, take8(), take16());
        break;
    case 4:
        give(q, (uint32_t)take16() << 16 | take16(), UINT32_MAX - take8());
        break;
    case 5:
        q->used.index = (uint16_t)(q->used.index + take16());
        break;
    case 6:
        q->used.flags = take16();
        break;
    case 7:
        registers[INTERRUPTS] = take8();
        memset(q->descriptor, take8(), sizeof(q->descriptor));
        break;
    }
}

void
cpu_order(void)
{
    if (is_running)
        device_acts();
}

void
cpu_order_all(void)
{
    if (is_running)
        device_acts();
}

/* --- the driver --- */

static void
check_queue(const struct virtqueue *q)
{
    uint16_t outside = (uint16_t)(q->offered - q->taken), count = 0;
    unsigned i;

    for (i = 0; i < VIRTQUEUE_SIZE; i++)
        count = (uint16_t)(count + q->is_offered[i]);
    FUZZ_CHECK(outside <= VIRTQUEUE_SIZE && count == outside);
    FUZZ_CHECK(q->available.index == q->offered);
}

static void
check_receive(void)
{
    size_t cap = 1 + take16() % PLAT_FRAME_MAX;

    received = malloc(cap);
    FUZZ_CHECK(received != NULL);
    FUZZ_CHECK(virtio_net.receive(received, cap) <= cap);
    free(received);
    received = NULL;
}

static void
take_step(void)
{
    static const uint8_t frame[PLAT_FRAME_MAX];

    switch (take8() % 4) {
    case 0:
        check_receive();
        break;
    case 1:
        virtio_net.send(frame, 1 + take16() % PLAT_FRAME_MAX);
        break;
    default:
        device_acts();
    }
    check_queue(queue[0]);
    check_queue(queue[1]);
}

/* The registers of a card that works. */
static void
set_registers(void)
{
    memset(registers, 0, sizeof(registers));
    registers[0x000 / 4] = 0x74726976;
    registers[0x004 / 4] = 2;
    registers[0x008 / 4] = 1;
    registers[0x010 / 4] = UINT32_MAX;
    registers[0x034 / 4] = VIRTQUEUE_SIZE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    in.data = data;
    in.size = len;
    queue_count = 0;
    is_running = false;
    set_registers();
    if (setjmp(panicked) != 0) {
        free(received);
        received = NULL;
        return 0;
    }
    FUZZ_CHECK(virtio_net_start((uintptr_t)registers, 5));
    FUZZ_CHECK(queue_count == 2);
    is_running = true;
    while (in.size > 0)
        take_step();
    return 0;
}
