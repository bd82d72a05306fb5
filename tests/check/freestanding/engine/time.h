/* SPDX-License-Identifier: ISC */
#ifndef FREESTANDING_TIME_H
#define FREESTANDING_TIME_H

/* Types that mbedTLS's headers name; libflow calls nothing of time.h. */

typedef long long time_t;

struct tm;

#endif
