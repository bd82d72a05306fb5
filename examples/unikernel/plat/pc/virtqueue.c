/* SPDX-License-Identifier: ISC */
#include "virtqueue.h"

#include "../../core/report.h"
#include "../x86/cpu.h"

/*
 * Invariants:
 * - The device has at most the buffers that is_offered says: taken never passes
 *   offered, and a buffer comes back once for each time it was offered.
 * - No length of the device is believed beyond the size of a buffer.
 * - The indices run modulo 2^16; a ring's place is the index modulo its size.
 */

#define VIRTQUEUE_DEVICE_WRITES 2 /* flag of a descriptor */
#define VIRTQUEUE_NO_NOTICE     1 /* flag of the used ring */

/* Reads a word that the device may change at any time. */
static uint16_t
virtqueue_load(const uint16_t *word)
{
    return *(const volatile uint16_t *)word;
}

void
virtqueue_init(struct virtqueue *q, const char *name, bool is_device_writing)
{
    q->name = name;
    q->is_device_writing = is_device_writing;
}

void
virtqueue_offer(struct virtqueue *q, unsigned id, size_t len)
{
    q->descriptor[id] = (struct virtqueue_descriptor){
        .address = (uintptr_t)q->buffer[id],
        .len = (uint32_t)len,
        .flags = q->is_device_writing ? VIRTQUEUE_DEVICE_WRITES : 0,
    };
    q->is_offered[id] = true;
    q->available.ring[q->offered % VIRTQUEUE_SIZE] = (uint16_t)id;
    q->offered++;
    cpu_order();
    *(volatile uint16_t *)&q->available.index = q->offered;
}

bool
virtqueue_has_used(const struct virtqueue *q)
{
    return virtqueue_load(&q->used.index) != q->taken;
}

bool
virtqueue_take(struct virtqueue *q, unsigned *ret_id, size_t *ret_len)
{
    uint16_t used = virtqueue_load(&q->used.index), place;
    uint32_t id, len;

    if (used == q->taken)
        return false;
    if ((uint16_t)(used - q->taken) > (uint16_t)(q->offered - q->taken))
        report_panic("virtio: %s queue: the device returned more buffers than "
                     "it has",
                     q->name);
    cpu_order();
    place = q->taken % VIRTQUEUE_SIZE;
    id = *(volatile uint32_t *)&q->used.ring[place].id;
    len = *(volatile uint32_t *)&q->used.ring[place].len;
    if (id >= VIRTQUEUE_SIZE || !q->is_offered[id])
        report_panic("virtio: %s queue: the device returned buffer %u, which "
                     "it does not have",
                     q->name, (uint64_t)id);
    if (q->is_device_writing && len > VIRTQUEUE_BUFFER)
        report_panic("virtio: %s queue: the device claims to have written %u "
                     "bytes to a buffer of %u",
                     q->name, (uint64_t)len, (uint64_t)VIRTQUEUE_BUFFER);
    q->is_offered[id] = false;
    q->taken++;
    *ret_id = id;
    *ret_len = q->is_device_writing ? len : 0;
    return true;
}

bool
virtqueue_wants_notice(const struct virtqueue *q)
{
    /* The device looks at the index after it has set the flag. */
    cpu_order_all();
    return (virtqueue_load(&q->used.flags) & VIRTQUEUE_NO_NOTICE) == 0;
}
