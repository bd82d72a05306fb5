/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tls/order.h"

/*
 * Input: a byte for the role and the session id, then messages in any order.
 * Each is a byte: the sender (0x80), the level (0x60), a kind (0x1f); or, if
 * the kind is above the last one, a length and that many bytes of a handshake
 * message.
 *
 * Invariant: no handshake completes without the messages that its security
 * depends on.
 */

/* Messages that were accepted, from either side. */
struct history {
    bool server;
    bool hello;      /* ClientHello */
    bool chosen;     /* ServerHello */
    bool retried;    /* HelloRetryRequest */
    bool by_session; /* PSK, or resumed */
    bool certified;  /* the server's Certificate */
    bool proved;     /* its signature: CertificateVerify, ServerKeyExchange */
    bool requested;  /* CertificateRequest */
    bool client_certified;
    bool client_answered; /* Certificate, maybe empty */
    bool client_proved;
    bool exchanged; /* ClientKeyExchange */
    bool changed[2];
    bool finished[2]; /* by ours */
    unsigned taken;
};

static bool
is_server_hello(enum flow__kind kind)
{
    return kind >= FLOW__KIND_SERVER_HELLO12 &&
           kind <= FLOW__KIND_SERVER_HELLO13_PSK;
}

static void
note_certificate(struct history *h, bool by_server, bool is_empty)
{
    if (by_server) {
        FUZZ_CHECK(!is_empty && !h->by_session);
        h->certified = true;
        return;
    }
    FUZZ_CHECK(h->requested);
    h->client_answered = true;
    h->client_certified = !is_empty;
}

static void
note_finished(struct history *h, bool ours, bool by_server, uint16_t version)
{
    FUZZ_CHECK(h->chosen && !h->finished[ours]);
    FUZZ_CHECK(h->by_session || (h->certified && h->proved));
    if (version == 0x0303)
        FUZZ_CHECK(h->changed[ours] && (h->by_session || h->exchanged));
    if (!by_server) {
        FUZZ_CHECK(!h->requested || h->client_answered);
        FUZZ_CHECK(!h->client_certified || h->client_proved);
    }
    h->finished[ours] = true;
}

static void
note(struct history *h, const struct flow__order_row *row)
{
    bool by_server = row->ours == h->server;
    uint16_t version = flow__order_facts(row->to)->version;

    h->taken++;
    switch ((int)row->kind) {
    case FLOW__KIND_CLIENT_HELLO:
        FUZZ_CHECK(!by_server);
        h->hello = true;
        break;
    case FLOW__KIND_HELLO_RETRY_REQUEST:
        FUZZ_CHECK(by_server && h->hello && !h->chosen && !h->retried);
        h->retried = true;
        break;
    case FLOW__KIND_CERTIFICATE_REQUEST:
        FUZZ_CHECK(by_server && !h->by_session);
        h->requested = true;
        break;
    case FLOW__KIND_CERTIFICATE:
    case FLOW__KIND_CERTIFICATE_EMPTY:
        note_certificate(h, by_server,
                         row->kind == FLOW__KIND_CERTIFICATE_EMPTY);
        break;
    case FLOW__KIND_SERVER_KEY_EXCHANGE:
        FUZZ_CHECK(by_server && h->certified && version == 0x0303);
        h->proved = true;
        break;
    case FLOW__KIND_CLIENT_KEY_EXCHANGE:
        FUZZ_CHECK(!by_server && h->proved && version == 0x0303);
        h->exchanged = true;
        break;
    case FLOW__KIND_CERTIFICATE_VERIFY:
        FUZZ_CHECK(by_server ? h->certified && version == 0x0304
                             : h->client_certified);
        if (by_server)
            h->proved = true;
        else
            h->client_proved = true;
        break;
    case FLOW__KIND_CHANGE_CIPHER_SPEC:
        FUZZ_CHECK(version == 0x0303 && !h->changed[row->ours]);
        h->changed[row->ours] = true;
        /* RFC 5077 3.4: a server that resumes without a session id. */
        if (row->ours && h->server && !h->certified)
            h->by_session = true;
        break;
    case FLOW__KIND_FINISHED:
        note_finished(h, row->ours, by_server, version);
        break;
    default:
        break;
    }
    if (!is_server_hello(row->kind))
        return;
    FUZZ_CHECK(by_server && h->hello && !h->chosen);
    FUZZ_CHECK(!h->retried || version == 0x0304);
    h->chosen = true;
    h->by_session = row->kind == FLOW__KIND_SERVER_HELLO13_PSK ||
                    row->kind == FLOW__KIND_SERVER_HELLO12_RESUMED ||
                    row->kind == FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET;
}

static void
check_refusal(const struct flow__order *before, const struct flow__order *at,
              bool ours, enum flow_status st, const struct flow__fault *fault)
{
    FUZZ_CHECK(before->state == at->state && before->ticket == at->ticket);
    FUZZ_CHECK(fault->text != NULL);
    FUZZ_CHECK(st == (ours ? FLOW_E_SYS : FLOW_E_PROTO));
    FUZZ_CHECK(ours ? fault->alert == FLOW__ALERT_INTERNAL_ERROR
                    : fault->alert == FLOW__ALERT_UNEXPECTED_MESSAGE ||
                          fault->alert == FLOW__ALERT_ILLEGAL_PARAMETER ||
                          fault->alert == FLOW__ALERT_DECODE_ERROR);
}

static void
check_step(const struct flow__order *before, const struct flow__order *at,
           const struct flow__order_row *row, enum flow__level level)
{
    const struct flow__order_facts *from = flow__order_facts(before->state);
    const struct flow__order_facts *to = flow__order_facts(at->state);

    FUZZ_CHECK(row->from == before->state && row->to == at->state);
    FUZZ_CHECK(level == (row->ours ? from->tx : from->rx));
    FUZZ_CHECK(to->rx >= from->rx && to->tx >= from->tx);
    FUZZ_CHECK(from->version == 0 || from->version == to->version);
    FUZZ_CHECK(!before->ticket || at->ticket);
    FUZZ_CHECK(!flow__order_is_open(before) || before->state == at->state);
}

static void
send_message(struct history *h, struct flow__order *at, bool ours,
             enum flow__kind kind, enum flow__level level)
{
    const struct flow__order before = *at;
    const struct flow__order_row *row = NULL;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st = flow__order_find(at, ours, kind, level, &row, &fault);

    if (st != FLOW_OK) {
        check_refusal(&before, at, ours, st, &fault);
        return;
    }
    FUZZ_CHECK(row->refused == NULL);
    flow__order_take(at, row);
    check_step(&before, at, row, level);
    note(h, row);
    if (flow__order_is_open(at))
        FUZZ_CHECK(h->finished[0] && h->finished[1]);
}

/* The kind of the next message, and the number of input bytes that encode
 * it. */
static enum flow__kind
next_kind(const struct flow__order *at, const uint8_t *data, size_t len,
          struct flow__span session_id, size_t *ret_used)
{
    unsigned kind = data[0] & 0x1fu;
    size_t whole;
    uint8_t *copy;

    *ret_used = 1;
    if (kind < FLOW__KIND_COUNT)
        return (enum flow__kind)kind;
    whole = len > 1 ? data[1] : 0;
    if (whole < 4 || len - 2 < whole)
        return FLOW__KIND_UNKNOWN;
    copy = malloc(whole);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data + 2, whole);
    kind = flow__order_kind(at, copy, whole, session_id);
    free(copy);
    FUZZ_CHECK(kind < FLOW__KIND_COUNT);
    FUZZ_CHECK(kind != FLOW__KIND_CHANGE_CIPHER_SPEC);
    *ret_used = 2 + whole;
    return (enum flow__kind)kind;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t id[] = { 0xaa, 0xbb };
    struct flow__span session_id = { NULL, 0 };
    struct history h;
    struct flow__order at;
    size_t used;

    if (len == 0)
        return 0;
    memset(&h, 0, sizeof(h));
    h.server = (data[0] & 1) != 0;
    if ((data[0] & 2) != 0) {
        session_id.base = id;
        session_id.len = sizeof(id);
    }
    flow__order_init(&at, h.server);
    for (size_t i = 1; i < len; i += used) {
        bool ours = (data[i] & 0x80) != 0;
        enum flow__kind kind =
            next_kind(&at, data + i, len - i, session_id, &used);

        send_message(&h, &at, ours, kind,
                     (enum flow__level)((data[i] >> 5 & 3) % 3));
    }
    return 0;
}
