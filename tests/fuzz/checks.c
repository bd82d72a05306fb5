/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/offer.h"
#include "tls/checks.h"

/*
 * Input: a byte that selects the check, three bytes that select the facts, then
 * the body of the message.  The header is generated, or part of the input if
 * the first byte has bit 0x80.
 */

static const struct {
    uint8_t type;
    flow__check_fn *check;
} checks[] = {
    { 1, flow__check_client_hello },
    { 2, flow__check_server_hello },
    { 2, flow__check_hello_retry_request },
    { 8, flow__check_encrypted_extensions },
    { 13, flow__check_certificate_request12 },
    { 13, flow__check_certificate_request13 },
    { 11, flow__check_certificate12 },
    { 11, flow__check_certificate13 },
    { 15, flow__check_certificate_verify12 },
    { 15, flow__check_certificate_verify13 },
    { 12, flow__check_server_key_exchange },
    { 16, flow__check_client_key_exchange },
    { 20, flow__check_finished12 },
    { 20, flow__check_finished13 },
    { 4, flow__check_new_session_ticket12 },
    { 4, flow__check_new_session_ticket13 },
    { 24, flow__check_key_update },
    { 14, flow__check_empty },
    { 1, flow__check_second_client_hello },
};

#define CHECKS       (sizeof(checks) / sizeof(checks[0]))
#define BODY_MAX     (1u << 24)
#define HELLO_CHECKS 3 /* these read the suite themselves */

/* A client sends it too; then there is no offer of ours to compare with. */
static bool
is_of_both(flow__check_fn *check)
{
    return check == flow__check_certificate13 ||
           check == flow__check_certificate_verify13;
}

struct situation {
    struct flow__client_hello offer;
    struct flow_tls_sni_terms terms;
    struct flow__check_facts facts;
};

static const uint16_t groups[] = { 0x0017, 0x0018, 0x0019, 0x001d, 0x001e, 0 };

static void
make_situation(struct situation *s, const uint8_t *choice, bool needs_suite,
               bool is_server)
{
    struct flow__fault fault;
    size_t suites = 0;

    memset(s, 0, sizeof(*s));
    FUZZ_CHECK(flow__hello_parse_client(offer_bytes, sizeof(offer_bytes),
                                        &s->offer, &fault) == FLOW_OK);
    s->terms.min_version = (choice[0] & 1) != 0 ? 0x0304 : 0x0303;
    s->terms.max_version = (choice[0] & 2) != 0 ? s->terms.min_version : 0x0304;
    s->facts.terms = &s->terms;
    s->facts.name = (choice[0] & 16) != 0 ? "a.example" : "";
    s->facts.offer = is_server ? NULL : &s->offer;
    s->facts.session_suite = (choice[0] & 4) != 0 ? 0xc02b : 0;
    s->facts.group = groups[choice[1] % (sizeof(groups) / sizeof(groups[0]))];
    s->facts.peer_key = (enum flow__key_type)(choice[1] / 8u % 5u);
    while (flow__suite_at(suites) != NULL)
        suites++;
    if (needs_suite || (choice[0] & 8) != 0)
        s->facts.suite = flow__suite_at(choice[2] % suites);
}

static enum flow_status
run(flow__check_fn *check, const struct flow__check_facts *facts,
    const uint8_t *msg, size_t len, struct flow__fault *fault)
{
    uint8_t *copy = malloc(len + (len == 0));
    enum flow_status st;

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, msg, len);
    fault->alert = FLOW__ALERT_NONE;
    fault->text = NULL;
    st = check(facts, copy, len, fault);
    free(copy);
    if (st == FLOW_OK)
        return st;
    FUZZ_CHECK(st == FLOW_E_PROTO);
    FUZZ_CHECK(fault->text != NULL && fault->text[0] != '\0');
    switch ((int)fault->alert) {
    case FLOW__ALERT_DECODE_ERROR:
    case FLOW__ALERT_ILLEGAL_PARAMETER:
    case FLOW__ALERT_HANDSHAKE_FAILURE:
    case FLOW__ALERT_PROTOCOL_VERSION:
    case FLOW__ALERT_INAPPROPRIATE_FALLBACK:
    case FLOW__ALERT_MISSING_EXTENSION:
    case FLOW__ALERT_UNSUPPORTED_EXTENSION:
        return st;
    default:
        /* The checks use no alert but these. */
        FUZZ_CHECK(false);
    }
    return st;
}

static void
set_length(uint8_t *msg, size_t len)
{
    msg[1] = (uint8_t)((len - 4) >> 16);
    msg[2] = (uint8_t)((len - 4) >> 8);
    msg[3] = (uint8_t)(len - 4);
}

/* An accepted message is read to its end: one byte less or more makes it
 * malformed. */
static void
check_ends(flow__check_fn *check, const struct flow__check_facts *facts,
           uint8_t *msg, size_t len)
{
    struct flow__fault fault;

    if (len > 4) {
        set_length(msg, len - 1);
        FUZZ_CHECK(run(check, facts, msg, len - 1, &fault) != FLOW_OK);
        FUZZ_CHECK(fault.alert == FLOW__ALERT_DECODE_ERROR);
        set_length(msg, len);
        FUZZ_CHECK(run(check, facts, msg, len - 1, &fault) != FLOW_OK);
        FUZZ_CHECK(fault.alert == FLOW__ALERT_DECODE_ERROR);
    }
    msg[len] = 0;
    set_length(msg, len + 1);
    FUZZ_CHECK(run(check, facts, msg, len + 1, &fault) != FLOW_OK);
    FUZZ_CHECK(fault.alert == FLOW__ALERT_DECODE_ERROR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct situation s;
    struct flow__fault fault;
    size_t which;
    uint8_t *msg;
    bool has_header;

    if (len < 4 || len > BODY_MAX)
        return 0;
    which = (data[0] & 0x7fu) % CHECKS;
    has_header = (data[0] & 0x80) != 0;
    make_situation(&s, data + 1, which >= HELLO_CHECKS,
                   (data[1] & 16) != 0 && is_of_both(checks[which].check));
    data += 4;
    len -= 4;
    msg = malloc(len + 5);
    FUZZ_CHECK(msg != NULL);
    memset(msg, 0, 4);
    memcpy(msg + (has_header ? 0 : 4), data, len);
    if (!has_header || len < 4) {
        len = has_header ? 4 : len + 4;
        set_length(msg, len);
    }
    msg[0] = checks[which].type;
    if (run(checks[which].check, &s.facts, msg, len, &fault) == FLOW_OK)
        check_ends(checks[which].check, &s.facts, msg, len);
    free(msg);
    return 0;
}
