/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_PLAT_PC_VIRTQUEUE_H
#define UNIKERNEL_PLAT_PC_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A split virtqueue (Virtual I/O Device 1.2, 2.7), of buffers of one size that
 * belong to it.
 *
 * The device may be hostile: what it writes is read once, checked before it is
 * used, and answered with a panic if it cannot be true.
 */

#define VIRTQUEUE_SIZE   64
#define VIRTQUEUE_BUFFER 2048

struct virtqueue_descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags, next;
};

struct virtqueue_available {
    uint16_t flags, index;
    uint16_t ring[VIRTQUEUE_SIZE];
    uint16_t event;
};

struct virtqueue_used {
    uint16_t flags, index;
    struct {
        uint32_t id, len;
    } ring[VIRTQUEUE_SIZE];
    uint16_t event;
};

struct virtqueue {
    /* Shared with the device. */
    struct virtqueue_descriptor descriptor[VIRTQUEUE_SIZE]
        __attribute__((aligned(16)));
    struct virtqueue_available available;
    struct virtqueue_used used __attribute__((aligned(4)));
    uint8_t buffer[VIRTQUEUE_SIZE][VIRTQUEUE_BUFFER];

    /* Not shared. */
    const char *name;
    bool is_device_writing;
    bool is_offered[VIRTQUEUE_SIZE]; /* the device has the buffer */
    uint16_t offered;                /* how many were offered so far */
    uint16_t taken;                  /* how many of them came back */
} __attribute__((aligned(4096)));

/* The device writes to the buffers, or reads them. */
void virtqueue_init(struct virtqueue *q, const char *name,
                    bool is_device_writing);
/* Offers a buffer, of which it may read len bytes, or write so many. */
void virtqueue_offer(struct virtqueue *q, unsigned id, size_t len);
/* Takes back a buffer that the device is done with; false if there is none.
 * *ret_len: bytes that the device wrote. */
bool virtqueue_take(struct virtqueue *q, unsigned *ret_id, size_t *ret_len);
bool virtqueue_has_used(const struct virtqueue *q);
/* Whether the device wants to be told of what was offered. */
bool virtqueue_wants_notice(const struct virtqueue *q);

#endif
