/* SPDX-License-Identifier: ISC */
#include "order_model.h"

#include <stddef.h>

/*
 * The figures of the RFCs as a list of steps, in the order in which the two
 * sides send them:
 *
 *   RFC 8446 2, figures 1 to 3, and appendix A   the hello, TLS 1.3
 *   RFC 5246 7.3, figure 1                       TLS 1.2, full
 *   RFC 5246 7.3, figure 2, RFC 5077 3.1         TLS 1.2, resumed
 *
 * The list names the sender of each step, so one list serves both roles.  A
 * message is legal if it is the next step, or a later one and everything
 * between may be absent.  Messages outside the sequence have functions of
 * their own below.  Anything else is refused (RFC 8446 4, RFC 5246 7.3).
 *
 * Invariant: a state is the first step not yet taken, what earlier messages
 * said that decides which steps follow, and the role.  No step is taken twice.
 */

/* The step that is next. */
enum model_place {
    MODEL_CLIENT_HELLO,
    MODEL_RETRY,
    MODEL_SECOND_HELLO,
    MODEL_SERVER_HELLO,

    MODEL_13, /* the first step of TLS 1.3 */
    MODEL_13_ENCRYPTED_EXTENSIONS = MODEL_13,
    MODEL_13_CERTIFICATE_REQUEST,
    MODEL_13_CERTIFICATE,
    MODEL_13_CERTIFICATE_VERIFY,
    MODEL_13_FINISHED,
    MODEL_13_CLIENT_CERTIFICATE,
    MODEL_13_CLIENT_CERTIFICATE_VERIFY,
    MODEL_13_CLIENT_FINISHED,
    MODEL_13_OPEN,

    MODEL_12, /* the first step of a full handshake of TLS 1.2 */
    MODEL_12_CERTIFICATE = MODEL_12,
    MODEL_12_SERVER_KEY_EXCHANGE,
    MODEL_12_CERTIFICATE_REQUEST,
    MODEL_12_SERVER_HELLO_DONE,
    MODEL_12_CLIENT_CERTIFICATE,
    MODEL_12_CLIENT_KEY_EXCHANGE,
    MODEL_12_CLIENT_CERTIFICATE_VERIFY,
    MODEL_12_CLIENT_CHANGE,
    MODEL_12_CLIENT_FINISHED,
    MODEL_12_TICKET,
    MODEL_12_CHANGE,
    MODEL_12_FINISHED,
    MODEL_12_OPEN,

    MODEL_SHORT, /* the first step of a resumed handshake of TLS 1.2 */
    MODEL_SHORT_TICKET = MODEL_SHORT,
    MODEL_SHORT_CHANGE,
    MODEL_SHORT_FINISHED,
    MODEL_SHORT_CLIENT_CHANGE,
    MODEL_SHORT_CLIENT_FINISHED,
    MODEL_SHORT_OPEN,

    MODEL_PLACES
};

/* What earlier messages decided.  The ServerHello ends RETRIED. */
enum model_fact {
    MODEL_RETRIED = 1,   /* there was a HelloRetryRequest */
    MODEL_PSK = 1,       /* TLS 1.3: the keys come from a session */
    MODEL_PROMISED = 1,  /* TLS 1.2: the server promised a ticket */
    MODEL_REQUESTED = 2, /* the server asked for a client certificate */
    MODEL_CERTIFIED = 4, /* the client sent one */
    MODEL_FACTS = 8      /* sets of facts */
};

struct model_state {
    enum model_place place;
    unsigned facts;
    bool server; /* the role of the endpoint */
};

_Static_assert(2 * MODEL_PLACES * MODEL_FACTS <= ORDER_MODEL_STATES,
               "every state has a number of its own");

enum model_side { MODEL_NOBODY, MODEL_CLIENT, MODEL_SERVER };

struct model_step {
    enum model_side sender; /* NOBODY: the handshake is over */
    enum flow__kind kind;
    enum flow__level level;
    unsigned needs;  /* absent without one of these facts */
    unsigned unless; /* absent with one of these facts */
    bool optional;   /* its sender may leave it out */
    unsigned teaches;
};

static const struct model_step model_steps[MODEL_PLACES] = {
    /* RFC 8446 2.1, figure 2.  The second ClientHello answers a
     * HelloRetryRequest, and nothing else does (4.1.2).  There is no second
     * HelloRetryRequest (4.1.4). */
    [MODEL_CLIENT_HELLO] = { MODEL_CLIENT, FLOW__KIND_CLIENT_HELLO,
                             FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_RETRY] = { MODEL_SERVER, FLOW__KIND_HELLO_RETRY_REQUEST,
                      FLOW__LEVEL_PLAIN, 0, 0, true, MODEL_RETRIED },
    [MODEL_SECOND_HELLO] = { MODEL_CLIENT, FLOW__KIND_CLIENT_HELLO,
                             FLOW__LEVEL_PLAIN, MODEL_RETRIED, 0, false, 0 },
    /* Stands for every row of model_hellos. */
    [MODEL_SERVER_HELLO] = { MODEL_SERVER, FLOW__KIND_SERVER_HELLO13,
                             FLOW__LEVEL_PLAIN, 0, 0, false, 0 },

    /* RFC 8446 2, figures 1 and 3; A.1 and A.2.  EncryptedExtensions is sent
     * in every handshake (4.3.1), the certificate only without a PSK (2.2),
     * and so is the request of one from the client (4.3.2). */
    [MODEL_13_ENCRYPTED_EXTENSIONS] = { MODEL_SERVER,
                                        FLOW__KIND_ENCRYPTED_EXTENSIONS,
                                        FLOW__LEVEL_HANDSHAKE, 0, 0, false, 0 },
    [MODEL_13_CERTIFICATE_REQUEST] = { MODEL_SERVER,
                                       FLOW__KIND_CERTIFICATE_REQUEST,
                                       FLOW__LEVEL_HANDSHAKE, 0, MODEL_PSK,
                                       true, MODEL_REQUESTED },
    [MODEL_13_CERTIFICATE] = { MODEL_SERVER, FLOW__KIND_CERTIFICATE,
                               FLOW__LEVEL_HANDSHAKE, 0, MODEL_PSK, false, 0 },
    [MODEL_13_CERTIFICATE_VERIFY] = { MODEL_SERVER,
                                      FLOW__KIND_CERTIFICATE_VERIFY,
                                      FLOW__LEVEL_HANDSHAKE, 0, MODEL_PSK,
                                      false, 0 },
    [MODEL_13_FINISHED] = { MODEL_SERVER, FLOW__KIND_FINISHED,
                            FLOW__LEVEL_HANDSHAKE, 0, 0, false, 0 },
    /* The client sends Certificate exactly if it was asked, perhaps an empty
     * one (4.4.2), and CertificateVerify exactly after one that is not empty
     * (4.4.3).  No early data: no EndOfEarlyData (4.5). */
    [MODEL_13_CLIENT_CERTIFICATE] = { MODEL_CLIENT, FLOW__KIND_CERTIFICATE,
                                      FLOW__LEVEL_HANDSHAKE, MODEL_REQUESTED, 0,
                                      false, MODEL_CERTIFIED },
    [MODEL_13_CLIENT_CERTIFICATE_VERIFY] = { MODEL_CLIENT,
                                             FLOW__KIND_CERTIFICATE_VERIFY,
                                             FLOW__LEVEL_HANDSHAKE,
                                             MODEL_CERTIFIED, 0, false, 0 },
    [MODEL_13_CLIENT_FINISHED] = { MODEL_CLIENT, FLOW__KIND_FINISHED,
                                   FLOW__LEVEL_HANDSHAKE, 0, 0, false, 0 },
    [MODEL_13_OPEN] = { MODEL_NOBODY, FLOW__KIND_COUNT, FLOW__LEVEL_DATA, 0, 0,
                        false, 0 },

    /* RFC 5246 7.3, figure 1.  The suites are ECDHE with certificates, so
     * Certificate (7.4.2) and ServerKeyExchange (7.4.3, RFC 8422 2) are sent
     * always.  CertificateStatus was not offered (RFC 6066 8). */
    [MODEL_12_CERTIFICATE] = { MODEL_SERVER, FLOW__KIND_CERTIFICATE,
                               FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_12_SERVER_KEY_EXCHANGE] = { MODEL_SERVER,
                                       FLOW__KIND_SERVER_KEY_EXCHANGE,
                                       FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_12_CERTIFICATE_REQUEST] = { MODEL_SERVER,
                                       FLOW__KIND_CERTIFICATE_REQUEST,
                                       FLOW__LEVEL_PLAIN, 0, 0, true,
                                       MODEL_REQUESTED },
    [MODEL_12_SERVER_HELLO_DONE] = { MODEL_SERVER, FLOW__KIND_SERVER_HELLO_DONE,
                                     FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    /* The client sends Certificate exactly if it was asked, perhaps an empty
     * one (7.4.6), ClientKeyExchange always (7.4.7), CertificateVerify right
     * after it and exactly for a certificate that can sign (7.4.8).  With
     * ECDHE every certificate can (RFC 8422 2, 5.8). */
    [MODEL_12_CLIENT_CERTIFICATE] = { MODEL_CLIENT, FLOW__KIND_CERTIFICATE,
                                      FLOW__LEVEL_PLAIN, MODEL_REQUESTED, 0,
                                      false, MODEL_CERTIFIED },
    [MODEL_12_CLIENT_KEY_EXCHANGE] = { MODEL_CLIENT,
                                       FLOW__KIND_CLIENT_KEY_EXCHANGE,
                                       FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_12_CLIENT_CERTIFICATE_VERIFY] = { MODEL_CLIENT,
                                             FLOW__KIND_CERTIFICATE_VERIFY,
                                             FLOW__LEVEL_PLAIN, MODEL_CERTIFIED,
                                             0, false, 0 },
    /* ChangeCipherSpec is essential, and Finished is the first message that
     * the new keys protect (7.1, 7.4.9). */
    [MODEL_12_CLIENT_CHANGE] = { MODEL_CLIENT, FLOW__KIND_CHANGE_CIPHER_SPEC,
                                 FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_12_CLIENT_FINISHED] = { MODEL_CLIENT, FLOW__KIND_FINISHED,
                                   FLOW__LEVEL_DATA, 0, 0, false, 0 },
    /* A ticket that was promised must come, before the ChangeCipherSpec and
     * after the client's Finished; another must not (RFC 5077 3.3). */
    [MODEL_12_TICKET] = { MODEL_SERVER, FLOW__KIND_NEW_SESSION_TICKET,
                          FLOW__LEVEL_PLAIN, MODEL_PROMISED, 0, false, 0 },
    [MODEL_12_CHANGE] = { MODEL_SERVER, FLOW__KIND_CHANGE_CIPHER_SPEC,
                          FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_12_FINISHED] = { MODEL_SERVER, FLOW__KIND_FINISHED, FLOW__LEVEL_DATA,
                            0, 0, false, 0 },
    [MODEL_12_OPEN] = { MODEL_NOBODY, FLOW__KIND_COUNT, FLOW__LEVEL_DATA, 0, 0,
                        false, 0 },

    /* RFC 5246 7.3, figure 2; RFC 5077 3.1, figure 2: the server is the first
     * to finish. */
    [MODEL_SHORT_TICKET] = { MODEL_SERVER, FLOW__KIND_NEW_SESSION_TICKET,
                             FLOW__LEVEL_PLAIN, MODEL_PROMISED, 0, false, 0 },
    [MODEL_SHORT_CHANGE] = { MODEL_SERVER, FLOW__KIND_CHANGE_CIPHER_SPEC,
                             FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_SHORT_FINISHED] = { MODEL_SERVER, FLOW__KIND_FINISHED,
                               FLOW__LEVEL_DATA, 0, 0, false, 0 },
    [MODEL_SHORT_CLIENT_CHANGE] = { MODEL_CLIENT, FLOW__KIND_CHANGE_CIPHER_SPEC,
                                    FLOW__LEVEL_PLAIN, 0, 0, false, 0 },
    [MODEL_SHORT_CLIENT_FINISHED] = { MODEL_CLIENT, FLOW__KIND_FINISHED,
                                      FLOW__LEVEL_DATA, 0, 0, false, 0 },
    [MODEL_SHORT_OPEN] = { MODEL_NOBODY, FLOW__KIND_COUNT, FLOW__LEVEL_DATA, 0,
                           0, false, 0 }
};

/*
 * What a ServerHello decides: the version (RFC 8446 4.1.3, 4.2.1), whether a
 * PSK stands for the certificate (4.2.11), whether a session of TLS 1.2 goes on
 * (RFC 5246 7.4.1.3, RFC 5077 3.4), and whether a ticket will come (RFC 5077
 * 3.2).
 */
static const struct {
    enum flow__kind kind;
    enum model_place next;
    unsigned facts;
} model_hellos[] = {
    { FLOW__KIND_SERVER_HELLO13, MODEL_13, 0 },
    { FLOW__KIND_SERVER_HELLO13_PSK, MODEL_13, MODEL_PSK },
    { FLOW__KIND_SERVER_HELLO12, MODEL_12, 0 },
    { FLOW__KIND_SERVER_HELLO12_TICKET, MODEL_12, MODEL_PROMISED },
    { FLOW__KIND_SERVER_HELLO12_RESUMED, MODEL_SHORT, 0 },
    { FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET, MODEL_SHORT, MODEL_PROMISED }
};

static unsigned
model_pack(struct model_state state)
{
    return ((unsigned)state.place * MODEL_FACTS + state.facts) * 2 +
           (state.server ? 1 : 0);
}

static struct model_state
model_unpack(unsigned number)
{
    return (struct model_state){ .place = (enum model_place)(number / 2 /
                                                             MODEL_FACTS),
                                 .facts = number / 2 % MODEL_FACTS,
                                 .server = number % 2 != 0 };
}

static enum model_side
model_sender(struct model_state state, bool ours)
{
    return state.server == ours ? MODEL_SERVER : MODEL_CLIENT;
}

static bool
model_is_13(enum model_place place)
{
    return place >= MODEL_13 && place <= MODEL_13_OPEN;
}

static bool
model_is_12(enum model_place place)
{
    return place >= MODEL_12;
}

static struct order_verdict
model_accept(struct model_state next, enum flow__level level)
{
    return (struct order_verdict){ .legal = true,
                                   .next = model_pack(next),
                                   .level = level,
                                   .alert = FLOW__ALERT_NONE };
}

/* Messages of the sequence. */

static bool
model_is_absent(const struct model_step *step, unsigned facts)
{
    return (step->needs != 0 && (facts & step->needs) == 0) ||
           (facts & step->unless) != 0;
}

/*
 * The step that a message of SENDER could be.  Steps that must be absent are
 * skipped, and so are steps that may be absent and do not match the message.
 */
static const struct model_step *
model_find_step(struct model_state state, enum model_side sender,
                enum flow__kind kind)
{
    for (const struct model_step *step = &model_steps[state.place];; step++) {
        if (model_is_absent(step, state.facts))
            continue;
        if (step->sender == sender && step->kind == kind)
            return step;
        if (!step->optional)
            return NULL;
    }
}

static bool
model_take_step(struct model_state state, enum model_side sender,
                enum flow__kind kind, struct order_verdict *ret_verdict)
{
    const struct model_step *step = model_find_step(state, sender, kind);

    if (step == NULL || step == &model_steps[MODEL_SERVER_HELLO])
        return false;
    state.place = (enum model_place)(step - model_steps + 1);
    state.facts |= step->teaches;
    *ret_verdict = model_accept(state, step->level);
    return true;
}

/* Only the client may send an empty certificate list (RFC 8446 4.4.2, RFC 5246
 * 7.4.6). */
static bool
model_take_empty(struct model_state state, enum model_side sender,
                 enum flow__kind kind, struct order_verdict *ret_verdict)
{
    struct model_state next;

    if (kind != FLOW__KIND_CERTIFICATE_EMPTY || sender != MODEL_CLIENT ||
        !model_take_step(state, sender, FLOW__KIND_CERTIFICATE, ret_verdict))
        return false;
    next = model_unpack(ret_verdict->next);
    next.facts &= ~(unsigned)MODEL_CERTIFIED;
    ret_verdict->next = model_pack(next);
    return true;
}

static bool
model_awaits_server_hello(struct model_state state, enum model_side sender)
{
    return model_find_step(state, sender, FLOW__KIND_SERVER_HELLO13) ==
           &model_steps[MODEL_SERVER_HELLO];
}

/* After a HelloRetryRequest, which is of TLS 1.3, the version stays (RFC 8446
 * 4.1.4). */
static bool
model_take_hello(struct model_state state, enum model_side sender,
                 enum flow__kind kind, struct order_verdict *ret_verdict)
{
    if (!model_awaits_server_hello(state, sender))
        return false;
    for (size_t i = 0; i < sizeof model_hellos / sizeof model_hellos[0]; i++) {
        if (model_hellos[i].kind != kind ||
            ((state.facts & MODEL_RETRIED) != 0 &&
             !model_is_13(model_hellos[i].next)))
            continue;
        state.place = model_hellos[i].next;
        state.facts = model_hellos[i].facts;
        *ret_verdict = model_accept(state, FLOW__LEVEL_PLAIN);
        return true;
    }
    return false;
}

/*
 * A client that presents a ticket may leave its session id empty, and then
 * only the next message tells that the server took the ticket (RFC 5077 3.4).
 * That client can only be the peer: a client that offers TLS 1.3 and sessions
 * of TLS 1.2 has a session id (RFC 8446 4.1.2, appendix D.4).
 */
static bool
model_take_short(struct model_state state, enum model_side sender,
                 enum flow__kind kind, struct order_verdict *ret_verdict)
{
    if (state.place != MODEL_12 || !state.server)
        return false;
    state.place = MODEL_SHORT;
    return model_take_step(state, sender, kind, ret_verdict);
}

/* Messages outside the sequence. */

/*
 * TLS 1.3, and while the version is open: the peer's change_cipher_spec is
 * dropped from the first ClientHello to the peer's Finished (RFC 8446 5,
 * appendix D.4).  In TLS 1.2 it is a step like any other.
 */
static bool
model_take_compat(struct model_state state, bool ours, enum flow__kind kind,
                  struct order_verdict *ret_verdict)
{
    const enum model_place finished =
        state.server ? MODEL_13_CLIENT_FINISHED : MODEL_13_FINISHED;

    if (kind != FLOW__KIND_CHANGE_CIPHER_SPEC || ours ||
        state.place == MODEL_CLIENT_HELLO || state.place > finished)
        return false;
    *ret_verdict = model_accept(state, FLOW__LEVEL_PLAIN);
    return true;
}

/* ChangeCipherSpec of TLS 1.2 is the last message before the new keys (RFC 5246
 * 7.1). */
static enum flow__level
model_server_level(enum model_place place)
{
    return place == MODEL_12_FINISHED || place == MODEL_12_OPEN ||
                   place >= MODEL_SHORT_FINISHED
               ? FLOW__LEVEL_DATA
               : FLOW__LEVEL_PLAIN;
}

/*
 * HelloRequest is the one message that is not bound by the order, so that it
 * may even stand between ChangeCipherSpec and Finished, and it is ignored
 * during a handshake (RFC 5246 7.4); after it, by a client that does not want
 * to negotiate again (7.4.1.1).  TLS 1.3 has no such message (RFC 8446 appendix
 * B.3), but before the ServerHello the server may turn out to be of TLS 1.2.
 */
static bool
model_take_hello_request(struct model_state state, bool ours,
                         enum flow__kind kind,
                         struct order_verdict *ret_verdict)
{
    const bool hello =
        state.place <= MODEL_SERVER_HELLO && (state.facts & MODEL_RETRIED) == 0;

    if (kind != FLOW__KIND_HELLO_REQUEST || ours || state.server ||
        (!hello && !model_is_12(state.place)))
        return false;
    *ret_verdict = model_accept(state, model_server_level(state.place));
    return true;
}

/*
 * A ClientHello after a handshake of TLS 1.2 asks for another one.  A server
 * that does not want it answers with a warning, and the connection goes on (RFC
 * 5246 7.2.2, no_renegotiation).
 */
static bool
model_take_renegotiation(struct model_state state, bool ours,
                         enum flow__kind kind,
                         struct order_verdict *ret_verdict)
{
    if (kind != FLOW__KIND_CLIENT_HELLO || ours || !state.server ||
        (state.place != MODEL_12_OPEN && state.place != MODEL_SHORT_OPEN))
        return false;
    *ret_verdict = model_accept(state, FLOW__LEVEL_DATA);
    return true;
}

/*
 * TLS 1.3: a side that has sent Finished may send KeyUpdate (RFC 8446 4.6.3).
 * The server may send tickets after the client's Finished, or, if it did not
 * ask for a certificate, right after its own (4.6.1).  The endpoint makes no
 * use of that before the handshake is over; its peer may.  CertificateRequest
 * is not among them: the client did not offer post_handshake_auth (4.6.2).
 */
static bool
model_take_later(struct model_state state, bool ours, enum flow__kind kind,
                 struct order_verdict *ret_verdict)
{
    const bool open = state.place == MODEL_13_OPEN;
    /* The server alone has sent Finished. */
    const bool half = model_is_13(state.place) &&
                      state.place > MODEL_13_FINISHED && !open && !ours &&
                      !state.server;
    const bool update = kind == FLOW__KIND_KEY_UPDATE && (open || half);
    const bool ticket =
        kind == FLOW__KIND_NEW_SESSION_TICKET &&
        model_sender(state, ours) == MODEL_SERVER &&
        (open || (half && (state.facts & MODEL_REQUESTED) == 0));

    if (!update && !ticket)
        return false;
    *ret_verdict = model_accept(state, FLOW__LEVEL_DATA);
    return true;
}

/* The alert for an illegal message of the peer. */
static enum flow__alert
model_alert(struct model_state state, enum flow__kind kind)
{
    const enum model_side peer = model_sender(state, false);
    struct order_verdict unused;

    /* RFC 8446 4.4.2.4, for the server's list; RFC 5246 does not name one. */
    if (kind == FLOW__KIND_CERTIFICATE_EMPTY &&
        model_take_step(state, peer, FLOW__KIND_CERTIFICATE, &unused))
        return FLOW__ALERT_DECODE_ERROR;
    /* RFC 8446 4.1.4: the version of the HelloRetryRequest has changed. */
    if (kind >= FLOW__KIND_SERVER_HELLO12 &&
        kind <= FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET &&
        model_awaits_server_hello(state, peer))
        return FLOW__ALERT_ILLEGAL_PARAMETER;
    /* RFC 8446 4 and 6.2, RFC 5246 7.2.2. */
    return FLOW__ALERT_UNEXPECTED_MESSAGE;
}

static struct order_verdict
model_take(unsigned number, bool ours, enum flow__kind kind)
{
    const struct model_state state = model_unpack(number);
    const enum model_side sender = model_sender(state, ours);
    struct order_verdict verdict;

    if (model_take_step(state, sender, kind, &verdict) ||
        model_take_empty(state, sender, kind, &verdict) ||
        model_take_hello(state, sender, kind, &verdict) ||
        model_take_short(state, sender, kind, &verdict) ||
        model_take_compat(state, ours, kind, &verdict) ||
        model_take_hello_request(state, ours, kind, &verdict) ||
        model_take_renegotiation(state, ours, kind, &verdict) ||
        model_take_later(state, ours, kind, &verdict))
        return verdict;
    return (struct order_verdict){ .legal = false,
                                   .next = number,
                                   .alert = ours ? FLOW__ALERT_NONE
                                                 : model_alert(state, kind) };
}

static unsigned
model_start(bool server)
{
    return model_pack(
        (struct model_state){ .place = MODEL_CLIENT_HELLO, .server = server });
}

static bool
model_is_open(unsigned number)
{
    return model_steps[model_unpack(number).place].sender == MODEL_NOBODY;
}

const struct order_model order_model = { .start = model_start,
                                         .take = model_take,
                                         .is_open = model_is_open };
