/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_STUB_STORE_H
#define TESTS_VCHAN_STUB_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* The domains and the store of stub_xen.h, for the rest of it. */

/* The domain that was entered last. */
uint16_t stub_here(void);

bool stub_is_introduced(uint32_t domid);

/* Forgets domains and nodes. */
void stub_store_reset(void);

#endif
