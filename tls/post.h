/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_POST_H
#define FLOW_TLS_POST_H

#include <stddef.h>
#include <stdint.h>

#include "tls/reader.h"

/* Take the content of a record without application data, of any type but
 * that. */
struct flow__reader_result flow__post_take(struct flow__reader *r, uint8_t type,
                                           const uint8_t *content, size_t len);

/* Make the key that a KeyUpdate announced.  FLOW_E_NOMEM: it stays due. */
struct flow__reader_result flow__post_next_key(struct flow__reader *r);

/* A record with application data has come. */
void flow__post_note_data(struct flow__reader *r);

#endif
