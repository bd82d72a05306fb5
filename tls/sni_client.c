/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"

/* The facts of a client, from its ClientHello or from a caller. */

static struct flow_tls_sni_list
client_list(struct flow__span span)
{
    const struct flow_tls_sni_list list = { span.base, span.len };

    return list;
}

/* See tls/sni.h. */
uint16_t
flow__sni_client_version(const struct flow_tls_sni_terms *terms,
                         const struct flow__client_hello *hello)
{
    return flow__sni_version(
        (uint16_t)terms->min_version, (uint16_t)terms->max_version,
        client_list(hello->versions), hello->legacy_version);
}

/* See tls/sni.h. */
void
flow__sni_client_fill(struct flow_tls_sni_client *client,
                      const struct flow__client_hello *hello)
{
    static const enum flow_tls_sni_state states[] = {
        [FLOW__SNI_ABSENT] = FLOW_TLS_SNI_ABSENT,
        [FLOW__SNI_NAME] = FLOW_TLS_SNI_NAME,
        [FLOW__SNI_IP_LITERAL] = FLOW_TLS_SNI_IP_LITERAL,
        [FLOW__SNI_INVALID] = FLOW_TLS_SNI_INVALID,
    };

    client->state = states[hello->sni_state];
    client->name[0] = '\0';
    if (hello->sni_state == FLOW__SNI_NAME)
        memcpy(client->name, hello->sni.dns, hello->sni.dns_len + 1);
    client->legacy_version = hello->legacy_version;
    client->versions = client_list(hello->versions);
    client->suites = client_list(hello->suites);
    client->sigalgs = client_list(hello->sigalgs);
    client->sigalgs_cert = client_list(hello->sigalgs_cert);
    client->groups = client_list(hello->groups);
    client->alpn = client_list(hello->alpn);
}

/* See <flow/tls_sni.h>. */
void
flow_tls_sni_client_set_name(struct flow_tls_sni_client *client,
                             const char *name)
{
    struct flow__name parsed;

    client->state = FLOW_TLS_SNI_ABSENT;
    client->name[0] = '\0';
    if (name == NULL)
        return;
    client->state = FLOW_TLS_SNI_INVALID;
    if (flow__name_looks_like_ip(name, strlen(name))) {
        client->state = FLOW_TLS_SNI_IP_LITERAL;
    } else if (flow__name_parse(name, strlen(name), &parsed) ==
               FLOW__NAME_DNS) {
        client->state = FLOW_TLS_SNI_NAME;
        memcpy(client->name, parsed.dns, parsed.dns_len + 1);
    }
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_client_read(const void *msg, size_t len,
                         struct flow_tls_sni_client *ret_client,
                         struct flow_error *ret_err)
{
    struct flow__client_hello hello;
    struct flow__fault fault;
    enum flow_status st = flow__hello_parse_client(msg, len, &hello, &fault);

    if (st != FLOW_OK) {
        (void)flow_error_set(ret_err, st, "tls config", FLOW_DOMAIN_NONE, 0,
                             fault.text);
        if (ret_err != NULL)
            ret_err->alert_sent = (int16_t)fault.alert;
        return st;
    }
    flow__sni_client_fill(ret_client, &hello);
    return FLOW_OK;
}
