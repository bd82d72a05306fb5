/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <mbedtls/ssl.h>

#include "tls/mbedtls/mbed.h"

/*
 * The names of certificate authorities that a server sends with its request for
 * a certificate.
 *
 * mbedTLS takes them from certificates, of which it reads version, subject_raw
 * and next; so a list of certificates without anything else serves.  In TLS 1.3
 * it sends none: our build of it calls back (libflow/request.c there).
 *
 * Invariant: the names point into the DER of anchors, which outlives the list.
 */

/* Each name follows its length. */
#define AUTHORITIES_LENGTH 2u

struct flow__mbed_authorities {
    const struct flow_env *env;
    size_t room;  /* elements that there is memory for */
    size_t bytes; /* of the names with their lengths */
    mbedtls_x509_crt name[];
};

/* A name with its header: X.690 10.1, the shortest form. */
static mbedtls_x509_buf
authorities_whole(struct flow__span subject)
{
    const size_t header = subject.len < 0x80      ? 2
                          : subject.len <= 0xff   ? 3
                          : subject.len <= 0xffff ? 4
                                                  : 5;
    mbedtls_x509_buf ret = {
        .tag = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
        .len = header + subject.len,
        .p = (unsigned char *)(uintptr_t)subject.base - header,
    };

    return ret;
}

static bool
authorities_has(const struct flow__mbed_authorities *a, size_t count,
                const mbedtls_x509_buf *name)
{
    for (size_t i = 0; i < count; i++)
        if (a->name[i].subject_raw.len == name->len &&
            memcmp(a->name[i].subject_raw.p, name->p, name->len) == 0)
            return true;
    return false;
}

/* Fill the list; false: it is longer than may be sent. */
static bool
authorities_fill(struct flow__mbed_authorities *a,
                 const struct flow__engine_terms *terms)
{
    size_t count = 0;

    for (size_t i = 0; i < terms->anchor_count; i++) {
        mbedtls_x509_buf name = authorities_whole(terms->anchors[i].subject);

        if (authorities_has(a, count, &name))
            continue;
        a->bytes += AUTHORITIES_LENGTH + name.len;
        if (a->bytes > terms->ca_list_max)
            return false;
        a->name[count].version = 3;
        a->name[count].subject_raw = name;
        if (count > 0)
            a->name[count - 1].next = &a->name[count];
        count++;
    }
    return count > 0;
}

/* See tls/mbedtls/mbed.h. */
enum flow_status
flow__mbed_authorities_new(const struct flow_env *env,
                           const struct flow__engine_terms *terms,
                           struct flow__mbed_authorities **ret)
{
    /* More names than fit into the limit need no room. */
    const size_t most = terms->ca_list_max / (AUTHORITIES_LENGTH + 2) + 1;
    const size_t room = terms->anchor_count < most ? terms->anchor_count : most;
    struct flow__mbed_authorities *a;

    *ret = NULL;
    if (!terms->asks_client || room == 0)
        return FLOW_OK;
    a = flow_env_alloc(env, sizeof(*a) + room * sizeof(a->name[0]));
    if (a == NULL)
        return FLOW_E_NOMEM;
    a->env = env;
    a->room = room;
    if (authorities_fill(a, terms))
        *ret = a;
    else
        flow__mbed_authorities_free(a);
    return FLOW_OK;
}

/* See tls/mbedtls/mbed.h. */
void
flow__mbed_authorities_free(struct flow__mbed_authorities *a)
{
    if (a != NULL)
        flow_env_free(a->env, a, sizeof(*a) + a->room * sizeof(a->name[0]));
}

/* See tls/mbedtls/mbed.h. */
void
flow__mbed_conf_authorities(mbedtls_ssl_config *ssl,
                            const struct flow__mbed_authorities *a)
{
    /* Names in a CertificateRequest of TLS 1.2: it may be left out. */
#if defined(MBEDTLS_KEY_EXCHANGE_CERT_REQ_ALLOWED_ENABLED)
    if (a != NULL)
        mbedtls_ssl_conf_dn_hints(ssl, a->name);
#else
    (void)ssl;
    (void)a;
#endif
}

static uint8_t *
authorities_put(uint8_t *p, size_t value)
{
    *p++ = (uint8_t)(value >> 8);
    *p++ = (uint8_t)value;
    return p;
}

/* See tls/mbedtls/mbed.h. */
size_t
flow__mbed_authorities_write(const struct flow__mbed_authorities *a,
                             uint8_t *buf, size_t cap)
{
    uint8_t *p = buf;

    if (a == NULL || cap < 6 + a->bytes)
        return 0;
    p = authorities_put(p, FLOW__EXTENSION_CERTIFICATE_AUTHORITIES);
    p = authorities_put(p, 2 + a->bytes);
    p = authorities_put(p, a->bytes);
    for (const mbedtls_x509_crt *c = a->name; c != NULL; c = c->next) {
        p = authorities_put(p, c->subject_raw.len);
        memcpy(p, c->subject_raw.p, c->subject_raw.len);
        p += c->subject_raw.len;
    }
    return (size_t)(p - buf);
}
