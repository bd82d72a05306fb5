/* SPDX-License-Identifier: ISC */
#ifndef LIBFLOW_ARCH_CC_H
#define LIBFLOW_ARCH_CC_H

#include <stdint.h>

/*
 * What lwIP needs of its surroundings.  It has no libc but string.h: it prints
 * nothing, and backends/lwip/stack.c of libflow has the functions below.
 */
#define LWIP_NO_INTTYPES_H 1
/* For the type ssize_t, which lwIP otherwise defines itself. */
#define LWIP_NO_UNISTD_H (!__STDC_HOSTED__)
#define LWIP_NO_CTYPE_H  1

/* Formats of messages that are not compiled. */
#define X8_F  "x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

#ifdef __BYTE_ORDER__
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BYTE_ORDER BIG_ENDIAN
#else
#define BYTE_ORDER LITTLE_ENDIAN
#endif
#endif

/* Milliseconds of the stack's clock, which wrap. */
uint32_t flow__lwip_now(void);
#define sys_now flow__lwip_now

/* Chooses where local ports begin. */
uint32_t flow__lwip_random(void);
#define LWIP_RAND() flow__lwip_random()

/* Called where a condition inside lwIP does not hold; does not return. */
void flow__lwip_broken(void);
#define LWIP_PLATFORM_ASSERT(text) flow__lwip_broken()
#define LWIP_PLATFORM_DIAG(text)                                               \
    do {                                                                       \
    } while (0)

#endif
