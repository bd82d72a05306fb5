/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_verify.h>

#include "tls/cert.h"
#include "tls/dn.h"
#include "tls/engine.h"

/* What a certificate says, as text for people and programs. */

struct cert_facts_writer {
    char *buf;
    size_t cap;
    size_t len;
};

static void
cert_facts_put(struct cert_facts_writer *w, char c)
{
    if (w->len + 1 < w->cap)
        w->buf[w->len++] = c;
}

/* Bytes that a peer chose must not control a terminal. */
static void
cert_facts_put_bytes(struct cert_facts_writer *w, struct flow__span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.base[i];

        cert_facts_put(w, c >= 0x20 && c < 0x7f ? (char)c : '?');
    }
}

static void
cert_facts_put_decimal(struct cert_facts_writer *w, unsigned value)
{
    if (value >= 10)
        cert_facts_put_decimal(w, value / 10);
    cert_facts_put(w, (char)('0' + value % 10));
}

/* Hexadecimal digits, without leading zeros unless min digits need them. */
static void
cert_facts_put_hex(struct cert_facts_writer *w, unsigned value, unsigned min)
{
    static const char digits[] = "0123456789abcdef";

    if (value >= 16 || min > 1)
        cert_facts_put_hex(w, value / 16, min > 0 ? min - 1 : 0);
    cert_facts_put(w, digits[value % 16]);
}

static unsigned
cert_facts_group(struct flow__span address, size_t i)
{
    return (unsigned)address.base[2 * i] << 8 | address.base[2 * i + 1];
}

/* The first of the longest runs of zero groups; RFC 5952 4.2 shortens none of
 * a single group. */
static size_t
cert_facts_longest_run(struct flow__span address, size_t *ret_at)
{
    size_t longest = 1, at = 0;

    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;

        while (i + n < 8 && cert_facts_group(address, i + n) == 0)
            n++;
        if (n > longest) {
            longest = n;
            at = i;
        }
    }
    *ret_at = at;
    return longest > 1 ? longest : 0;
}

static void
cert_facts_put_ipv6(struct cert_facts_writer *w, struct flow__span address)
{
    size_t at, run = cert_facts_longest_run(address, &at);

    for (size_t i = 0; i < 8; i++) {
        if (run > 0 && i == at) {
            cert_facts_put(w, ':');
            if (i + run == 8)
                cert_facts_put(w, ':');
            i += run - 1;
            continue;
        }
        if (i > 0)
            cert_facts_put(w, ':');
        cert_facts_put_hex(w, cert_facts_group(address, i), 1);
    }
}

static void
cert_facts_put_address(struct cert_facts_writer *w, struct flow__span address)
{
    if (address.len == 16) {
        cert_facts_put_ipv6(w, address);
        return;
    }
    for (size_t i = 0; i < address.len; i++) {
        if (i > 0)
            cert_facts_put(w, '.');
        cert_facts_put_decimal(w, address.base[i]);
    }
}

/* A positive INTEGER begins with a zero byte if its highest bit is set, which
 * other programs leave out. */
static void
cert_facts_set_serial(struct flow_tls_facts *facts, struct flow__span serial)
{
    struct cert_facts_writer w = { facts->serial, sizeof(facts->serial), 0 };
    const size_t first = serial.len > 1 && serial.base[0] == 0 ? 1 : 0;

    for (size_t i = first; i < serial.len; i++)
        cert_facts_put_hex(&w, serial.base[i], 2);
    w.buf[w.len] = '\0';
}

static void
cert_facts_set_key(struct flow_tls_facts *facts, const struct flow__cert *cert)
{
    static const struct {
        const char *name;
        unsigned bits;
    } keys[] = {
        [FLOW__KEY_OTHER] = { "other", 0 },
        [FLOW__KEY_RSA] = { "RSA", 0 },
        [FLOW__KEY_P256] = { "P-256", 256 },
        [FLOW__KEY_P384] = { "P-384", 384 },
        [FLOW__KEY_P521] = { "P-521", 521 },
    };

    facts->key = keys[cert->key].name;
    facts->key_bits =
        cert->key == FLOW__KEY_RSA ? cert->rsa_bits : keys[cert->key].bits;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_next_cert(struct flow_tls_der *chain, struct flow_tls_der *ret_cert)
{
    struct flow__span rest = { chain->base, chain->len }, whole;

    if (rest.len == 0 ||
        !flow__der_take_whole(&rest, FLOW__DER_SEQUENCE, &whole))
        return FLOW_EOF;
    ret_cert->base = whole.base;
    ret_cert->len = whole.len;
    chain->base = rest.base;
    chain->len = rest.len;
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_get_facts(const struct flow_tls_der *cert,
                   struct flow_tls_facts *ret_facts)
{
    const struct flow__span der = { cert->base, cert->len };
    struct flow_tls_facts facts = { .not_before = 0 };
    struct flow__cert read;
    enum flow_status st;

    if (!flow__cert_read(der, &read))
        return FLOW_E_INVAL;
    st = flow__engine_init(NULL);
    if (st == FLOW_OK)
        st = flow__engine_fingerprint(der, facts.fingerprint);
    if (st == FLOW_OK)
        st = flow__engine_fingerprint(read.spki, facts.pin);
    if (st != FLOW_OK)
        return st;
    (void)flow__dn_text(read.subject, facts.subject, sizeof(facts.subject));
    (void)flow__dn_text(read.issuer, facts.issuer, sizeof(facts.issuer));
    cert_facts_set_serial(&facts, read.serial);
    cert_facts_set_key(&facts, &read);
    facts.not_before = read.not_before;
    facts.not_after = read.not_after;
    facts.is_ca = read.is_ca;
    facts.names.base = read.names.base;
    facts.names.len = read.names.len;
    *ret_facts = facts;
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_next_name(struct flow_tls_der *names,
                   enum flow_tls_name_kind *ret_kind, char *buf, size_t cap)
{
    struct flow__span rest = { names->base, names->len }, value;
    struct cert_facts_writer w = { buf, cap, 0 };
    unsigned choice;

    if (rest.len == 0 || !flow__cert_take_name(&rest, &choice, &value))
        return FLOW_EOF;
    *ret_kind = (enum flow_tls_name_kind)choice;
    if (choice == FLOW__GENERAL_DIRECTORY)
        (void)flow__dn_text(value, buf, cap);
    else if (choice == FLOW__GENERAL_IP)
        cert_facts_put_address(&w, value);
    else if (choice == FLOW__GENERAL_EMAIL || choice == FLOW__GENERAL_DNS ||
             choice == FLOW_TLS_NAME_URI)
        cert_facts_put_bytes(&w, value);
    if (choice != FLOW__GENERAL_DIRECTORY)
        buf[w.len] = '\0';
    names->base = rest.base;
    names->len = rest.len;
    return FLOW_OK;
}
