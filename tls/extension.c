/* SPDX-License-Identifier: ISC */
#include "tls/extension.h"

#include <string.h>

/* RFC 8446 4.2: which message may carry which extension. */
#define CH  FLOW__IN_CLIENT_HELLO
#define SH  FLOW__IN_SERVER_HELLO
#define HRR FLOW__IN_HELLO_RETRY_REQUEST
#define EE  FLOW__IN_ENCRYPTED_EXTENSIONS
#define CR  FLOW__IN_CERTIFICATE_REQUEST
#define CT  FLOW__IN_CERTIFICATE
#define NST FLOW__IN_NEW_SESSION_TICKET

/* Those that only TLS 1.2 knows are in no message of TLS 1.3 but the
 * ClientHello. */
static const struct {
    uint16_t type;
    unsigned places;
} extension_places[] = {
    { FLOW__EXTENSION_SERVER_NAME, CH | EE },
    { FLOW__EXTENSION_MAX_FRAGMENT_LENGTH, CH | EE },
    { FLOW__EXTENSION_STATUS_REQUEST, CH | CR | CT },
    { FLOW__EXTENSION_SUPPORTED_GROUPS, CH | EE },
    { FLOW__EXTENSION_EC_POINT_FORMATS, CH },
    { FLOW__EXTENSION_SIGNATURE_ALGORITHMS, CH | CR },
    { FLOW__EXTENSION_ALPN, CH | EE },
    { FLOW__EXTENSION_SIGNED_CERTIFICATE_TIMESTAMP, CH | CR | CT },
    { FLOW__EXTENSION_EXTENDED_MASTER_SECRET, CH },
    { FLOW__EXTENSION_RECORD_SIZE_LIMIT, CH | EE },
    { FLOW__EXTENSION_SESSION_TICKET, CH },
    { FLOW__EXTENSION_PRE_SHARED_KEY, CH | SH },
    { FLOW__EXTENSION_EARLY_DATA, CH | EE | NST },
    { FLOW__EXTENSION_SUPPORTED_VERSIONS, CH | SH | HRR },
    { FLOW__EXTENSION_COOKIE, CH | HRR },
    { FLOW__EXTENSION_PSK_KEY_EXCHANGE_MODES, CH },
    { FLOW__EXTENSION_CERTIFICATE_AUTHORITIES, CH | CR },
    { FLOW__EXTENSION_SIGNATURE_ALGORITHMS_CERT, CH | CR },
    { FLOW__EXTENSION_KEY_SHARE, CH | SH | HRR },
    { FLOW__EXTENSION_RENEGOTIATION_INFO, CH },
};

#undef CH
#undef SH
#undef HRR
#undef EE
#undef CR
#undef CT
#undef NST

/* See tls/extension.h. */
bool
flow__extension_is_misplaced(uint16_t type, unsigned place)
{
    const size_t n = sizeof(extension_places) / sizeof(extension_places[0]);

    for (size_t i = 0; i < n; i++)
        if (extension_places[i].type == type)
            return (extension_places[i].places & place) == 0;
    return false;
}

/* See tls/extension.h. */
void
flow__extensions_init(struct flow__extensions *x, struct flow__span list)
{
    memset(x, 0, sizeof(*x));
    x->rest = list;
}

/* See tls/extension.h. */
enum flow_status
flow__extensions_next(struct flow__extensions *x, struct flow__fault *ret_fault)
{
    if (!flow__span_take_u16(&x->rest, &x->type) ||
        !flow__span_take_vec16(&x->rest, &x->body))
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "truncated list of extensions");
    if (x->count == FLOW__EXTENSIONS_MAX)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "too many extensions in a message");
    for (unsigned i = 0; i < x->count; i++)
        if (x->seen[i] == x->type)
            return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                     "duplicate extension in a message");
    x->seen[x->count++] = x->type;
    return FLOW_OK;
}
