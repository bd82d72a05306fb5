/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tls/hello.h"

/* Input: a handshake message. */

static void
check_span(const uint8_t *data, size_t len, struct flow__span span)
{
    if (span.base == NULL) {
        FUZZ_CHECK(span.len == 0);
        return;
    }
    FUZZ_CHECK(span.base >= data && span.base <= data + len);
    FUZZ_CHECK(span.len <= (size_t)(data + len - span.base));
}

static void
check_fault(enum flow_status st, const struct flow__fault *fault)
{
    FUZZ_CHECK(st == FLOW_E_PROTO);
    FUZZ_CHECK(fault->text != NULL && fault->text[0] != '\0');
    FUZZ_CHECK(fault->alert == FLOW__ALERT_DECODE_ERROR ||
               fault->alert == FLOW__ALERT_ILLEGAL_PARAMETER ||
               fault->alert == FLOW__ALERT_PROTOCOL_VERSION ||
               fault->alert == FLOW__ALERT_UNEXPECTED_MESSAGE);
}

static void
check_sni(const struct flow__client_hello *h)
{
    struct flow__name again;

    if (h->sni_state != FLOW__SNI_NAME) {
        FUZZ_CHECK(h->sni_state <= FLOW__SNI_INVALID);
        return;
    }
    FUZZ_CHECK(h->sni.dns_len == strlen(h->sni.dns));
    FUZZ_CHECK(flow__name_parse(h->sni.dns, h->sni.dns_len, &again) ==
               FLOW__NAME_DNS);
    FUZZ_CHECK(strcmp(again.dns, h->sni.dns) == 0);
}

static void
check_client(const uint8_t *data, size_t len)
{
    struct flow__client_hello h;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st = flow__hello_parse_client(data, len, &h, &fault);
    struct flow__span alpn;
    struct flow__span name;

    if (st != FLOW_OK) {
        check_fault(st, &fault);
        return;
    }
    const struct flow__span spans[] = {
        h.random, h.session_id,   h.suites, h.versions,   h.sigalgs,
        h.groups, h.sigalgs_cert, h.cookie, h.key_shares, h.alpn,
    };
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
        check_span(data, len, spans[i]);
    FUZZ_CHECK(h.random.len == 32 && h.session_id.len <= 32);
    FUZZ_CHECK(h.suites.len >= 2 && h.suites.len % 2 == 0);
    FUZZ_CHECK(h.max_version <= 0x0304);
    FUZZ_CHECK(h.fallback_scsv == flow__span_has_u16(h.suites, 0x5600));
    for (alpn = h.alpn; flow__hello_next_alpn(&alpn, &name);) {
        check_span(data, len, name);
        FUZZ_CHECK(name.len > 0);
    }
    FUZZ_CHECK(alpn.len == 0);
    flow__hello_has_key_share(&h, 0x001d);
    check_sni(&h);
}

static void
check_server(const uint8_t *data, size_t len)
{
    struct flow__server_hello h;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st = flow__hello_parse_server(data, len, &h, &fault);

    if (st != FLOW_OK) {
        check_fault(st, &fault);
        return;
    }
    check_span(data, len, h.random);
    check_span(data, len, h.session_id);
    check_span(data, len, h.alpn);
    check_span(data, len, h.cookie);
    FUZZ_CHECK(h.retry ==
               (memcmp(h.random.base, flow__hello_retry_random, 32) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    check_client(data, len);
    check_server(data, len);
    return 0;
}
