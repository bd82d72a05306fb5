/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"

/* Policies of other programs (docs/sni.md). */
static const struct flow_tls_sni_policy preset_table[] = {
    [FLOW_TLS_SNI_STANDARD] = { .on_no_name = FLOW_TLS_SNI_USE_DEFAULT,
                                .on_unknown = FLOW_TLS_SNI_USE_DEFAULT },
    [FLOW_TLS_SNI_STRICT] = { .on_no_name = FLOW_TLS_SNI_USE_DEFAULT,
                              .on_unknown = FLOW_TLS_SNI_REJECT },
    [FLOW_TLS_SNI_NGINX] = { .on_no_name = FLOW_TLS_SNI_USE_DEFAULT,
                             .on_unknown = FLOW_TLS_SNI_USE_DEFAULT },
    [FLOW_TLS_SNI_LIBTLS] = { .on_no_name = FLOW_TLS_SNI_USE_DEFAULT,
                              .on_unknown = FLOW_TLS_SNI_USE_DEFAULT,
                              .list_order = true },
    [FLOW_TLS_SNI_HAPROXY_STRICT] = { .on_no_name = FLOW_TLS_SNI_REJECT,
                                      .on_unknown = FLOW_TLS_SNI_REJECT,
                                      .reject_ip_literal = true,
                                      .key_before_exact = true },
    [FLOW_TLS_SNI_OCAML_SINGLE] = { .on_no_name = FLOW_TLS_SNI_USE_DEFAULT,
                                    .on_unknown = FLOW_TLS_SNI_USE_DEFAULT,
                                    .reject_ip_literal = true },
    [FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE] = { .on_no_name =
                                                 FLOW_TLS_SNI_USE_FIRST,
                                             .on_unknown =
                                                 FLOW_TLS_SNI_USE_FIRST,
                                             .reject_ip_literal = true,
                                             .list_order = true,
                                             .compat = true },
    [FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE_DEFAULT] = { .on_no_name =
                                                         FLOW_TLS_SNI_USE_DEFAULT,
                                                     .on_unknown =
                                                         FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST,
                                                     .reject_ip_literal = true,
                                                     .list_order = true,
                                                     .compat = true },
};

/* See <flow/tls_sni.h>. */
void
flow_tls_sni_preset(enum flow_tls_sni_preset preset,
                    struct flow_tls_sni_policy *ret_policy)
{
    memset(ret_policy, 0, sizeof(*ret_policy));
    if ((size_t)preset < sizeof(preset_table) / sizeof(preset_table[0]))
        *ret_policy = preset_table[preset];
}
