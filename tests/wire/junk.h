/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_JUNK_H
#define TEST_WIRE_JUNK_H

#include <stddef.h>
#include <stdint.h>

#include "evil.h"

/* Records in tables of tests: content types, and the expected reaction to one
 * that is out of place. */

#define CCS       20
#define ALERT     21
#define MESSAGE   22
#define BYTES     23
#define HEARTBEAT 24

#define PLAIN     EVIL_PLAIN
#define HANDSHAKE EVIL_HANDSHAKE
#define DATA      EVIL_DATA

struct junk {
    const char *name;
    uint8_t type;
    const char *content;
    size_t len;
    int alert;    /* our alert, -1: none */
    int received; /* the peer's alert as we report it, -1: none */
};

#endif
