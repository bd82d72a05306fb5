/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CONFIG_PRIVATE_H
#define FLOW_TLS_CONFIG_PRIVATE_H

#include <flow/tls_config.h>

#include "lib/plat.h"
#include "tls/engine.h"
#include "tls/sni.h"

#define FLOW__MAX_SUITES 32
#define FLOW__MAX_GROUPS 8
#define FLOW__MAX_ALPN   16

/*
 * Members are written before the configuration is frozen, by one thread, and
 * only read afterwards.  lock guards the freezing itself; refs and frozen are
 * atomic.
 */
struct flow_tls_config {
    const struct flow_env *env;
    uint32_t refs;
    bool server;
    uint8_t frozen;
    struct flow_lock lock;

    enum flow_tls_version min_version;
    enum flow_tls_version max_version;
    uint16_t suite[FLOW__MAX_SUITES + 1]; /* ended by 0 */
    size_t suite_count;
    uint16_t group[FLOW__MAX_GROUPS + 1]; /* ended by 0 */
    size_t group_count;
    char *alpn[FLOW__MAX_ALPN + 1]; /* ended by NULL */
    size_t alpn_count;

    struct flow__keypair **pair;
    size_t pair_count;
    /* Once frozen, for flow__sni_select(): one per pair, and all names. */
    struct flow__sni_candidate *candidate;
    struct flow__span *name;
    size_t name_count;
    struct flow__trust *trust; /* NULL: the system's, when frozen */

    bool allow_expired;
    bool tolerate_truncation;
    bool skip_verify;
    bool skip_name;
    uint64_t handshake_time;
    size_t handshake_bytes;
    uint64_t key_limit;

    struct flow__engine_conf *engine; /* once frozen */
};

#endif
