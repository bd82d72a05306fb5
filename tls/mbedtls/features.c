/* SPDX-License-Identifier: ISC */
#include <mbedtls/ssl.h>

#include "tls/engine.h"

/* What mbedTLS was built with.  Where the whole program is optimised at once,
 * code for what it lacks is left out. */

/* See tls/engine.h. */
bool
flow__engine_can_connect(void)
{
#if defined(MBEDTLS_SSL_CLI_C)
    return true;
#else
    return false;
#endif
}

/* See tls/engine.h. */
bool
flow__engine_has_tls12(void)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_2)
    return true;
#else
    return false;
#endif
}

/* See tls/engine.h. */
bool
flow__engine_can_resume(void)
{
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    return true;
#else
    return false;
#endif
}

/* See tls/engine.h. */
bool
flow__engine_can_export(void)
{
#if defined(MBEDTLS_SSL_KEYING_MATERIAL_EXPORT)
    return true;
#else
    return false;
#endif
}
