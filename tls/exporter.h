/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_EXPORTER_H
#define FLOW_TLS_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/tls_export.h>

struct flow__engine;

/* What is exported under a label. */
struct flow__exporter {
    const char *label;
    const uint8_t *context; /* NULL: none, which is not the same as empty */
    size_t context_len;
    size_t len; /* of the value */
};

/* One that a configuration declares (config_secrets.c). */
struct flow__exporter_declared {
    struct flow__exporter is;
    uint8_t *memory; /* owned: the label with its NUL, then the context */
    size_t size;
};

/*
 * What a TLS flow keeps for flow_tls_export(): it stands after the flow, in the
 * same memory, if the configuration asks for any of it.
 */
struct flow__exported {
    struct flow__engine *engine; /* kept, or NULL */
    bool is_safe;    /* no other connection has these values (RFC 7627) */
    uint8_t value[]; /* the declared ones, in their order */
};

/* Bytes of it for a configuration, 0 if it asks for nothing. */
size_t flow__exported_size(const struct flow_tls_config *c);

/* When the handshake is over: compute the declared values.  is_safe is set
 * before.  FLOW_OK, FLOW_E_NOMEM, or FLOW_E_SYS if the engine fails. */
enum flow_status flow__exported_fill(struct flow__exported *x,
                                     const struct flow_tls_config *c,
                                     struct flow__engine *engine);

#endif
