/* SPDX-License-Identifier: ISC */
#include "../../core/bytes.h"
#include "../../core/memory.h"
#include "../../core/report.h"
#include "../x86/cpu.h"
#include "pc.h"
#include "virtqueue.h"

/*
 * A virtio network card on virtio-mmio (Virtual I/O Device 1.2, 4.2 and 5.1),
 * without offloads.
 *
 * Frames are copied between the buffers of the queues and the app's memory, so
 * the device never has an address of the app.  The card interrupts for received
 * frames alone.  Buffers of sent frames are taken back before the next one is
 * sent.
 */

/* Registers. */
#define NET_MAGIC          0x000
#define NET_VERSION        0x004
#define NET_DEVICE         0x008
#define NET_OFFERS         0x010
#define NET_OFFERS_SELECT  0x014
#define NET_ACCEPTS        0x020
#define NET_ACCEPTS_SELECT 0x024
#define NET_QUEUE          0x030
#define NET_QUEUE_MAX      0x034
#define NET_QUEUE_SIZE     0x038
#define NET_QUEUE_READY    0x044
#define NET_NOTIFY         0x050
#define NET_INTERRUPTS     0x060
#define NET_ACKNOWLEDGE    0x064
#define NET_STATUS         0x070
#define NET_DESCRIPTORS    0x080
#define NET_AVAILABLE      0x090
#define NET_USED           0x0a0
#define NET_CONFIG         0x100

#define NET_MAGIC_VALUE   0x74726976 /* "virt" */
#define NET_VERSION_VALUE 2
#define NET_DEVICE_VALUE  1

/* Bits of the status, in the order in which they are set. */
#define NET_STATUS_SEEN     1
#define NET_STATUS_DRIVER   2
#define NET_STATUS_FEATURES 8
#define NET_STATUS_READY    4

/* Features: of the first word, and of the second. */
#define NET_HAS_STATION (1U << 5)
#define NET_IS_MODERN   (1U << 0)

#define NET_RX 0
#define NET_TX 1

#define NET_NO_INTERRUPT 1  /* flag of an available ring */
#define NET_HEADER       12 /* bytes before each frame */
#define NET_BATCH        16 /* buffers offered before the device is told */

static uintptr_t net_base; /* 0: there is no card */
static uint8_t net_station[6];
static struct virtqueue net_rx, net_tx;
static unsigned net_untold; /* buffers offered since it was told */

static volatile uint32_t *
net_register(uintptr_t base, unsigned offset)
{
    return (volatile uint32_t *)(base + offset);
}

static uint32_t
net_read(unsigned offset)
{
    return *net_register(net_base, offset);
}

static void
net_write(unsigned offset, uint32_t value)
{
    *net_register(net_base, offset) = value;
}

static void
net_write_address(unsigned offset, const void *address)
{
    net_write(offset, (uint32_t)(uintptr_t)address);
    net_write(offset + 4, (uint32_t)((uintptr_t)address >> 32));
}

static bool
net_has_features(uint32_t word, uint32_t bits)
{
    net_write(NET_OFFERS_SELECT, word);
    if ((net_read(NET_OFFERS) & bits) != bits)
        return false;
    net_write(NET_ACCEPTS_SELECT, word);
    net_write(NET_ACCEPTS, bits);
    return true;
}

static void
net_negotiate(void)
{
    net_write(NET_STATUS, 0);
    net_write(NET_STATUS, NET_STATUS_SEEN);
    net_write(NET_STATUS, NET_STATUS_SEEN | NET_STATUS_DRIVER);
    if (!net_has_features(0, NET_HAS_STATION) ||
        !net_has_features(1, NET_IS_MODERN))
        report_panic("virtio: the network card lacks a needed feature");
    net_write(NET_STATUS,
              NET_STATUS_SEEN | NET_STATUS_DRIVER | NET_STATUS_FEATURES);
    if ((net_read(NET_STATUS) & NET_STATUS_FEATURES) == 0)
        report_panic("virtio: the network card refused the features");
}

static void
net_set_queue(unsigned number, struct virtqueue *q)
{
    net_write(NET_QUEUE, number);
    if (net_read(NET_QUEUE_MAX) < VIRTQUEUE_SIZE)
        report_panic("virtio: %s queue: shorter than %u buffers", q->name,
                     (uint64_t)VIRTQUEUE_SIZE);
    net_write(NET_QUEUE_SIZE, VIRTQUEUE_SIZE);
    net_write_address(NET_DESCRIPTORS, q->descriptor);
    net_write_address(NET_AVAILABLE, &q->available);
    net_write_address(NET_USED, &q->used);
    net_write(NET_QUEUE_READY, 1);
}

static void
net_start_queues(void)
{
    unsigned i;

    virtqueue_init(&net_rx, "receive", true);
    virtqueue_init(&net_tx, "send", false);
    net_tx.available.flags = NET_NO_INTERRUPT;
    net_set_queue(NET_RX, &net_rx);
    net_set_queue(NET_TX, &net_tx);
    net_write(NET_STATUS, NET_STATUS_SEEN | NET_STATUS_DRIVER |
                              NET_STATUS_FEATURES | NET_STATUS_READY);
    for (i = 0; i < VIRTQUEUE_SIZE; i++)
        virtqueue_offer(&net_rx, i, VIRTQUEUE_BUFFER);
    net_write(NET_NOTIFY, NET_RX);
}

bool
virtio_net_start(uintptr_t base, unsigned line)
{
    const volatile uint8_t *config =
        (const volatile uint8_t *)base + NET_CONFIG;
    unsigned i;

    memory_map_device(base);
    if (*net_register(base, NET_MAGIC) != NET_MAGIC_VALUE ||
        *net_register(base, NET_DEVICE) != NET_DEVICE_VALUE)
        return false;
    if (*net_register(base, NET_VERSION) != NET_VERSION_VALUE)
        report_panic("virtio: the network card is a legacy device; start QEMU "
                     "with -global virtio-mmio.force-legacy=false");
    net_base = base;
    net_negotiate();
    for (i = 0; i < sizeof(net_station); i++)
        net_station[i] = config[i];
    interrupt_route(line);
    net_start_queues();
    return true;
}

static bool
net_get_station(uint8_t ret_address[6])
{
    if (net_base == 0)
        return false;
    bytes_copy(ret_address, net_station, sizeof(net_station));
    return true;
}

/* A buffer that the device does not have; VIRTQUEUE_SIZE if it has all. */
static unsigned
net_free_buffer(void)
{
    unsigned id;
    size_t len;

    while (virtqueue_take(&net_tx, &id, &len))
        continue;
    for (id = 0; id < VIRTQUEUE_SIZE; id++)
        if (!net_tx.is_offered[id])
            break;
    return id;
}

static bool
net_send(const void *frame, size_t len)
{
    unsigned id;

    if (net_base == 0 || (id = net_free_buffer()) == VIRTQUEUE_SIZE)
        return false;
    bytes_zero(net_tx.buffer[id], NET_HEADER);
    bytes_copy(net_tx.buffer[id] + NET_HEADER, frame, len);
    virtqueue_offer(&net_tx, id, NET_HEADER + len);
    if (virtqueue_wants_notice(&net_tx))
        net_write(NET_NOTIFY, NET_TX);
    return true;
}

static void
net_tell_offered(void)
{
    if (net_untold == 0)
        return;
    net_untold = 0;
    if (virtqueue_wants_notice(&net_rx))
        net_write(NET_NOTIFY, NET_RX);
}

/* The card raises its line again only after the interrupt was acknowledged, so
 * that comes before the last look at the queue. */
static bool
net_has_frame(void)
{
    uint32_t pending;

    if (virtqueue_has_used(&net_rx))
        return true;
    net_tell_offered();
    pending = net_read(NET_INTERRUPTS);
    if (pending != 0)
        net_write(NET_ACKNOWLEDGE, pending);
    cpu_order_all();
    return virtqueue_has_used(&net_rx);
}

/* Frames that are shorter than a header, or longer than cap, are dropped. */
static size_t
net_receive(void *frame, size_t cap)
{
    size_t len, frame_len = 0;
    unsigned id;

    if (net_base == 0)
        return 0;
    while (frame_len == 0 && net_has_frame() &&
           virtqueue_take(&net_rx, &id, &len)) {
        if (len > NET_HEADER && len - NET_HEADER <= cap)
            frame_len = len - NET_HEADER;
        bytes_copy(frame, net_rx.buffer[id] + NET_HEADER, frame_len);
        virtqueue_offer(&net_rx, id, VIRTQUEUE_BUFFER);
        if (++net_untold >= NET_BATCH)
            net_tell_offered();
    }
    return frame_len;
}

const struct plat_net virtio_net = {
    .station = net_get_station,
    .send = net_send,
    .receive = net_receive,
};
