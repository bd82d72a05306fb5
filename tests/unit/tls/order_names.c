/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/order_names.h"

const char *
order_kind_name(enum flow__kind kind)
{
    static const char *const names[FLOW__KIND_COUNT] = {
        "HelloRequest",
        "ClientHello",
        "ServerHello 1.2",
        "ServerHello 1.2 (ticket)",
        "ServerHello 1.2 (resumed)",
        "ServerHello 1.2 (resumed, ticket)",
        "ServerHello 1.3",
        "ServerHello 1.3 (psk)",
        "HelloRetryRequest",
        "NewSessionTicket",
        "EndOfEarlyData",
        "EncryptedExtensions",
        "Certificate",
        "Certificate (empty)",
        "ServerKeyExchange",
        "CertificateRequest",
        "ServerHelloDone",
        "CertificateVerify",
        "ClientKeyExchange",
        "Finished",
        "CertificateStatus",
        "KeyUpdate",
        "unknown",
        "change_cipher_spec",
    };

    return names[kind];
}

#define NAME(state) [FLOW__STATE_##state] = #state

const char *
order_state_name(enum flow__order_state state)
{
    static const char *const names[FLOW__STATE_COUNT] = {
        NAME(C_START),         NAME(C_SH),
        NAME(C_SEND_CH2),      NAME(C_SH2),
        NAME(C13_EE),          NAME(C13_EE_PSK),
        NAME(C13_CERT_CR),     NAME(C13_CERT_R),
        NAME(C13_CV),          NAME(C13_CV_R),
        NAME(C13_FIN),         NAME(C13_FIN_R),
        NAME(C13_SEND_CERT),   NAME(C13_SEND_CV),
        NAME(C13_SEND_FIN),    NAME(C13_OPEN),
        NAME(C12_CERT),        NAME(C12_SKE),
        NAME(C12_CR_SHD),      NAME(C12_SHD_R),
        NAME(C12_SEND_CERT),   NAME(C12_SEND_CKE),
        NAME(C12_SEND_CKE_C),  NAME(C12_SEND_CV),
        NAME(C12_SEND_CCS),    NAME(C12_SEND_FIN),
        NAME(C12_NST_CCS),     NAME(C12_CCS),
        NAME(C12_FIN),         NAME(C12_R_NST),
        NAME(C12_R_CCS),       NAME(C12_R_FIN),
        NAME(C12_R_SEND_CCS),  NAME(C12_R_SEND_FIN),
        NAME(C12_OPEN),        NAME(S_CH),
        NAME(S_SEND_SH),       NAME(S_CH2),
        NAME(S_SEND_SH2),      NAME(S13_SEND_EE),
        NAME(S13_SEND_EE_PSK), NAME(S13_SEND_CERT_CR),
        NAME(S13_SEND_CERT_R), NAME(S13_SEND_CV),
        NAME(S13_SEND_CV_R),   NAME(S13_SEND_FIN),
        NAME(S13_SEND_FIN_R),  NAME(S13_CERT),
        NAME(S13_CV),          NAME(S13_FIN),
        NAME(S13_OPEN),        NAME(S12_SEND_CERT),
        NAME(S12_SEND_SKE),    NAME(S12_SEND_CR_SHD),
        NAME(S12_SEND_SHD_R),  NAME(S12_CERT_R),
        NAME(S12_CKE),         NAME(S12_CKE_C),
        NAME(S12_CV),          NAME(S12_CCS),
        NAME(S12_FIN),         NAME(S12_SEND_NST_CCS),
        NAME(S12_SEND_CCS),    NAME(S12_SEND_FIN),
        NAME(S12_R_SEND_NST),  NAME(S12_R_SEND_CCS),
        NAME(S12_R_SEND_FIN),  NAME(S12_R_CCS),
        NAME(S12_R_FIN),       NAME(S12_OPEN),
    };

    return names[state];
}
