/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_KEY_LOG_H
#define FLOW_TLS_KEY_LOG_H

#include <stdbool.h>

struct flow_tls_config;
struct flow__engine_event;

/* Give a secret to the configuration's key log, if it has one.  The event is
 * FLOW__ENGINE_SECRET, and server says which side it was made on. */
void flow__key_log_note(const struct flow_tls_config *c, bool server,
                        const struct flow__engine_event *ev);

#endif
