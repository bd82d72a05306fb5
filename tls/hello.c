/* SPDX-License-Identifier: ISC */
#include "tls/hello.h"

#include <string.h>

/* clang-format off */
const uint8_t flow__hello_retry_random[FLOW__RANDOM_LEN] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
    0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
    0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};
/* clang-format on */

static bool
hello_next_key_share(struct flow__span *list, uint16_t *ret_group)
{
    struct flow__span key;

    return flow__span_take_u16(list, ret_group) &&
           flow__span_take_vec16(list, &key) && key.len > 0;
}

bool
flow__hello_has_key_share(const struct flow__client_hello *hello,
                          uint16_t group)
{
    struct flow__span list = hello->key_shares;
    uint16_t g;

    while (hello_next_key_share(&list, &g))
        if (g == group)
            return true;
    return false;
}

bool
flow__hello_next_alpn(struct flow__span *list, struct flow__span *ret_name)
{
    return flow__span_take_vec8(list, ret_name);
}

bool
flow__hello_next_extension(struct flow__span *list, uint16_t *ret_type,
                           struct flow__span *ret_body)
{
    return flow__span_take_u16(list, ret_type) &&
           flow__span_take_vec16(list, ret_body);
}

/* RFC 7301 3.1: a list of at least one name, none of which is empty. */
static bool
hello_take_alpn(struct flow__span *in, struct flow__span *ret)
{
    struct flow__span list;
    struct flow__span name;

    if (!flow__span_take_vec16(in, ret) || ret->len == 0)
        return false;
    for (list = *ret; list.len > 0;)
        if (!flow__span_take_vec8(&list, &name) || name.len == 0)
            return false;
    return true;
}

/*
 * Parsers of the extensions of a ClientHello.  Each consumes the body.  If it
 * returns false or leaves bytes over, the message is refused with decode_error.
 */

static bool
hello_read_empty(struct flow__span *body)
{
    return body->len == 0;
}

static bool
hello_is_text(struct flow__span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.base[i] <= 0x20 || name.base[i] >= 0x7f)
            return false;
    return name.len <= FLOW__NAME_MAX + 1;
}

static void
hello_set_sni(struct flow__client_hello *h, uint8_t type,
              struct flow__span name)
{
    const char *text = (const char *)name.base;

    /* host_name is the only type, and may be there once (RFC 6066 3). */
    if (type != 0 || h->sni_state != FLOW__SNI_ABSENT || !hello_is_text(name))
        h->sni_state = FLOW__SNI_INVALID;
    else if (flow__name_looks_like_ip(text, name.len))
        h->sni_state = FLOW__SNI_IP_LITERAL;
    else if (flow__name_parse(text, name.len, &h->sni) == FLOW__NAME_DNS)
        h->sni_state = FLOW__SNI_NAME;
    else
        h->sni_state = FLOW__SNI_INVALID;
}

static bool
hello_read_server_name(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span list;
    struct flow__span name;
    uint8_t type;

    if (!flow__span_take_vec16(body, &list) || list.len == 0)
        return false;
    while (list.len > 0) {
        if (!flow__span_take_u8(&list, &type) ||
            !flow__span_take_vec16(&list, &name) || name.len == 0)
            return false;
        hello_set_sni(h, type, name);
    }
    return true;
}

static bool
hello_read_max_fragment_length(struct flow__span *body,
                               struct flow__client_hello *h)
{
    return flow__span_take_u8(body, &h->max_fragment_length);
}

/* RFC 8422 5.1.2.  Only TLS 1.2 uses them. */
static bool
hello_read_point_formats(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_vec8(body, &h->point_formats) &&
           h->point_formats.len > 0;
}

static bool
hello_read_groups(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_numbers(body, &h->groups);
}

static bool
hello_read_sigalgs(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_numbers(body, &h->sigalgs);
}

static bool
hello_read_sigalgs_cert(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_numbers(body, &h->sigalgs_cert);
}

static bool
hello_read_alpn(struct flow__span *body, struct flow__client_hello *h)
{
    return hello_take_alpn(body, &h->alpn);
}

static bool
hello_read_ems(struct flow__span *body, struct flow__client_hello *h)
{
    h->extended_master_secret = true;
    return hello_read_empty(body);
}

static bool
hello_read_record_size_limit(struct flow__span *body,
                             struct flow__client_hello *h)
{
    return flow__span_take_u16(body, &h->record_size_limit);
}

static bool
hello_read_session_ticket(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span ticket;

    h->session_ticket = true;
    return flow__span_take(body, body->len, &ticket);
}

static bool
hello_read_psk(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span identities;
    struct flow__span binders;

    h->psk = true;
    return flow__span_take_vec16(body, &identities) && identities.len > 0 &&
           flow__span_take_vec16(body, &binders) && binders.len > 0;
}

static bool
hello_read_psk_modes(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span modes;

    h->psk_modes = true;
    return flow__span_take_vec8(body, &modes) && modes.len > 0;
}

static bool
hello_read_early_data(struct flow__span *body, struct flow__client_hello *h)
{
    h->early_data = true;
    return hello_read_empty(body);
}

static bool
hello_read_versions(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_vec8(body, &h->versions) && h->versions.len >= 2 &&
           h->versions.len % 2 == 0;
}

static bool
hello_read_cookie(struct flow__span *body, struct flow__client_hello *h)
{
    return flow__span_take_vec16(body, &h->cookie) && h->cookie.len > 0;
}

static bool
hello_read_key_shares(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span list;
    uint16_t group;

    if (!flow__span_take_vec16(body, &h->key_shares))
        return false;
    for (list = h->key_shares; list.len > 0;)
        if (!hello_next_key_share(&list, &group))
            return false;
    return true;
}

static bool
hello_read_renegotiation(struct flow__span *body, struct flow__client_hello *h)
{
    struct flow__span verify_data;

    (void)h;
    return flow__span_take_vec8(body, &verify_data);
}

/* The extensions of a ClientHello that are parsed here. */
static const struct {
    uint16_t type;
    bool (*read)(struct flow__span *body, struct flow__client_hello *h);
    const char *text;
} hello_client_extensions[] = {
    { FLOW__EXTENSION_SERVER_NAME, hello_read_server_name,
      "malformed server_name" },
    { FLOW__EXTENSION_MAX_FRAGMENT_LENGTH, hello_read_max_fragment_length,
      "malformed max_fragment_length" },
    { FLOW__EXTENSION_SUPPORTED_GROUPS, hello_read_groups,
      "malformed supported_groups" },
    { FLOW__EXTENSION_EC_POINT_FORMATS, hello_read_point_formats,
      "malformed ec_point_formats" },
    { FLOW__EXTENSION_SIGNATURE_ALGORITHMS, hello_read_sigalgs,
      "malformed signature_algorithms" },
    { FLOW__EXTENSION_ALPN, hello_read_alpn,
      "malformed application_layer_protocol_negotiation" },
    { FLOW__EXTENSION_EXTENDED_MASTER_SECRET, hello_read_ems,
      "malformed extended_master_secret" },
    { FLOW__EXTENSION_RECORD_SIZE_LIMIT, hello_read_record_size_limit,
      "malformed record_size_limit" },
    { FLOW__EXTENSION_SESSION_TICKET, hello_read_session_ticket,
      "malformed session_ticket" },
    { FLOW__EXTENSION_PRE_SHARED_KEY, hello_read_psk,
      "malformed pre_shared_key" },
    { FLOW__EXTENSION_PSK_KEY_EXCHANGE_MODES, hello_read_psk_modes,
      "malformed psk_key_exchange_modes" },
    { FLOW__EXTENSION_EARLY_DATA, hello_read_early_data,
      "malformed early_data" },
    { FLOW__EXTENSION_SUPPORTED_VERSIONS, hello_read_versions,
      "malformed supported_versions" },
    { FLOW__EXTENSION_COOKIE, hello_read_cookie, "malformed cookie" },
    { FLOW__EXTENSION_SIGNATURE_ALGORITHMS_CERT, hello_read_sigalgs_cert,
      "malformed signature_algorithms_cert" },
    { FLOW__EXTENSION_KEY_SHARE, hello_read_key_shares, "malformed key_share" },
    { FLOW__EXTENSION_RENEGOTIATION_INFO, hello_read_renegotiation,
      "malformed renegotiation_info" },
};

/* Nothing, or one list of extensions, follows the fixed fields. */
static enum flow_status
hello_begin_extensions(struct flow__span *body, struct flow__extensions *x,
                       struct flow__fault *fault)
{
    struct flow__span list = { NULL, 0 };

    if (body->len > 0 && (!flow__span_take_vec16(body, &list) || body->len > 0))
        return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                 "wrong length of the extensions of a hello");
    flow__extensions_init(x, list);
    return FLOW_OK;
}

static enum flow_status
hello_read_client_extension(struct flow__extensions *x,
                            struct flow__client_hello *h,
                            struct flow__fault *fault)
{
    const size_t n =
        sizeof(hello_client_extensions) / sizeof(hello_client_extensions[0]);

    /* RFC 8446 4.2.11: its binders cover everything before them. */
    if (x->type == FLOW__EXTENSION_PRE_SHARED_KEY && x->rest.len > 0)
        return flow__fault_proto(fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "pre_shared_key is not the last extension");
    for (size_t i = 0; i < n; i++) {
        if (hello_client_extensions[i].type != x->type)
            continue;
        if (!hello_client_extensions[i].read(&x->body, h) || x->body.len > 0)
            return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                     hello_client_extensions[i].text);
    }
    return FLOW_OK;
}

static enum flow_status
hello_read_client_extensions(struct flow__span *body,
                             struct flow__client_hello *h,
                             struct flow__fault *fault)
{
    struct flow__extensions x;
    enum flow_status st = hello_begin_extensions(body, &x, fault);

    h->extensions = x.rest;
    while (st == FLOW_OK && x.rest.len > 0) {
        st = flow__extensions_next(&x, fault);
        if (st == FLOW_OK)
            st = hello_read_client_extension(&x, h, fault);
    }
    return st;
}

/* Take the header off a whole handshake message. */
static enum flow_status
hello_open_message(const uint8_t *msg, size_t len, uint8_t type,
                   struct flow__span *ret_body, struct flow__fault *fault)
{
    if (len > 0 && msg[0] != type)
        return flow__fault_proto(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                                 "unexpected message instead of a hello");
    if (len < FLOW__HANDSHAKE_HEADER ||
        ((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]) !=
            len - FLOW__HANDSHAKE_HEADER)
        return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                 "wrong length of a hello");
    ret_body->base = msg + FLOW__HANDSHAKE_HEADER;
    ret_body->len = len - FLOW__HANDSHAKE_HEADER;
    return FLOW_OK;
}

static uint16_t
hello_highest_version(const struct flow__client_hello *h)
{
    struct flow__span list = h->versions;
    uint16_t best = 0;
    uint16_t v;

    if (list.base == NULL)
        return h->legacy_version < FLOW_TLS_1_3 ? h->legacy_version
                                                : FLOW_TLS_1_3 - 1;
    while (flow__span_take_u16(&list, &v))
        if (v >= FLOW__VERSION_SSL_3_0 && v <= FLOW_TLS_1_3 && v > best)
            best = v;
    return best;
}

enum flow_status
flow__hello_parse_client(const uint8_t *msg, size_t len,
                         struct flow__client_hello *ret_hello,
                         struct flow__fault *ret_fault)
{
    struct flow__client_hello *h = ret_hello;
    struct flow__span body;
    struct flow__span compression;
    enum flow_status st;

    memset(h, 0, sizeof(*h));
    st = hello_open_message(msg, len, FLOW__HANDSHAKE_CLIENT_HELLO, &body,
                            ret_fault);
    if (st != FLOW_OK)
        return st;
    if (!flow__span_take_u16(&body, &h->legacy_version) ||
        !flow__span_take(&body, FLOW__RANDOM_LEN, &h->random) ||
        !flow__span_take_vec8(&body, &h->session_id) ||
        h->session_id.len > FLOW__SESSION_ID_MAX ||
        !flow__span_take_numbers(&body, &h->suites) ||
        !flow__span_take_vec8(&body, &compression) || compression.len == 0)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed ClientHello");
    st = hello_read_client_extensions(&body, h, ret_fault);
    if (st != FLOW_OK)
        return st;
    if (memchr(compression.base, 0, compression.len) == NULL)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "client offers no null compression");
    h->max_version = hello_highest_version(h);
    h->fallback_scsv = flow__span_has_u16(h->suites, FLOW__SUITE_FALLBACK_SCSV);
    return FLOW_OK;
}

/* The extensions of a ServerHello that are parsed here. */
static bool
hello_read_server_extension(uint16_t type, struct flow__span *body,
                            struct flow__server_hello *h)
{
    struct flow__span key;

    switch (type) {
    case FLOW__EXTENSION_SUPPORTED_VERSIONS:
        return flow__span_take_u16(body, &h->version);
    case FLOW__EXTENSION_KEY_SHARE:
        /* RFC 8446 4.2.8: a HelloRetryRequest only names the group. */
        return flow__span_take_u16(body, &h->group) &&
               (h->retry || (flow__span_take_vec16(body, &key) && key.len > 0));
    case FLOW__EXTENSION_PRE_SHARED_KEY:
        h->psk = true;
        return flow__span_take_u16(body, &h->psk_index);
    case FLOW__EXTENSION_COOKIE:
        return flow__span_take_vec16(body, &h->cookie) && h->cookie.len > 0;
    case FLOW__EXTENSION_ALPN:
        return hello_take_alpn(body, &h->alpn) &&
               h->alpn.len == (size_t)h->alpn.base[0] + 1;
    case FLOW__EXTENSION_EXTENDED_MASTER_SECRET:
        h->extended_master_secret = true;
        return hello_read_empty(body);
    case FLOW__EXTENSION_SESSION_TICKET:
        h->session_ticket = true;
        return hello_read_empty(body);
    case FLOW__EXTENSION_MAX_FRAGMENT_LENGTH:
        return flow__span_take_u8(body, &h->max_fragment_length);
    case FLOW__EXTENSION_SERVER_NAME:
        /* RFC 6066 3 */
        return hello_read_empty(body);
    case FLOW__EXTENSION_EC_POINT_FORMATS:
        return flow__span_take_vec8(body, &h->point_formats) &&
               h->point_formats.len > 0;
    default:
        return flow__span_take(body, body->len, &key);
    }
}

static enum flow_status
hello_read_server_extensions(struct flow__span *body,
                             struct flow__server_hello *h,
                             struct flow__fault *fault)
{
    struct flow__extensions x;
    enum flow_status st = hello_begin_extensions(body, &x, fault);

    h->extensions = x.rest;
    while (st == FLOW_OK && x.rest.len > 0) {
        st = flow__extensions_next(&x, fault);
        if (st == FLOW_OK &&
            (!hello_read_server_extension(x.type, &x.body, h) ||
             x.body.len > 0))
            st = flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                   "malformed extension in a ServerHello");
    }
    return st;
}

enum flow_status
flow__hello_parse_server(const uint8_t *msg, size_t len,
                         struct flow__server_hello *ret_hello,
                         struct flow__fault *ret_fault)
{
    struct flow__server_hello *h = ret_hello;
    struct flow__span body;
    uint16_t legacy_version;
    uint8_t compression;
    enum flow_status st;

    memset(h, 0, sizeof(*h));
    st = hello_open_message(msg, len, FLOW__HANDSHAKE_SERVER_HELLO, &body,
                            ret_fault);
    if (st != FLOW_OK)
        return st;
    if (!flow__span_take_u16(&body, &legacy_version) ||
        !flow__span_take(&body, FLOW__RANDOM_LEN, &h->random) ||
        !flow__span_take_vec8(&body, &h->session_id) ||
        h->session_id.len > FLOW__SESSION_ID_MAX ||
        !flow__span_take_u16(&body, &h->suite) ||
        !flow__span_take_u8(&body, &compression))
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed ServerHello");
    h->retry =
        memcmp(h->random.base, flow__hello_retry_random, FLOW__RANDOM_LEN) == 0;
    st = hello_read_server_extensions(&body, h, ret_fault);
    if (st != FLOW_OK)
        return st;
    if (compression != 0)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "server chose a compression");
    /* RFC 8446 4.2.1: supported_versions never names an older version, and no
     * newer one was offered. */
    if (h->version != 0 && h->version != FLOW_TLS_1_3)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "server names a version that was not offered");
    if (h->version == 0)
        h->version = legacy_version;
    else if (legacy_version != FLOW_TLS_1_3 - 1)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "TLS 1.3 with another legacy_version than "
                                 "0x0303");
    /* RFC 8446 4.1.3: only supported_versions names TLS 1.3. */
    if (h->version == legacy_version && legacy_version >= FLOW_TLS_1_3)
        return flow__fault_proto(ret_fault, FLOW__ALERT_PROTOCOL_VERSION,
                                 "server names a version that was not offered");
    return FLOW_OK;
}
