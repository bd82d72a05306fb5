/* SPDX-License-Identifier: ISC */
#include "site.h"

#include "../common/cli.h"

/* For plain HTTP on the port of HTTPS.  It has no Date: it is made once, and
 * the time of a client that only took the wrong scheme is of no use. */
static const char settings_https_only[] =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 57\r\n"
    "Connection: close\r\n"
    "\r\n"
    "This port speaks HTTPS: use a URL that begins https://.\r\n";

/* See "site.h". */
bool
settings_make_answers(struct site *site)
{
    if (answer_text(&site->misdirected, 421, "Misdirected Request",
                    "This server does not serve that name.\n") &&
        answer_text(&site->bad_request, 400, "Bad Request",
                    "This request could not be understood.\n") &&
        answer_text(&site->too_large, 431, "Request Header Fields Too Large",
                    "This request is too long.\n") &&
        answer_text(&site->too_slow, 408, "Request Timeout",
                    "This request took too long.\n"))
        return true;
    cli_complain("out of memory");
    return false;
}

/* See "site.h". */
void
settings_free_answers(struct site *site)
{
    answer_fini(&site->misdirected);
    answer_fini(&site->bad_request);
    answer_fini(&site->too_large);
    answer_fini(&site->too_slow);
}

/* See "site.h". */
int
settings_apply(const struct site *site, struct flow_tls_config *config)
{
    if (flow_tls_config_set_handshake_limits(config, site->handshake_timeout,
                                             0) == FLOW_OK &&
        flow_tls_config_set_text_answer(config, settings_https_only,
                                        sizeof(settings_https_only) - 1) ==
            FLOW_OK &&
        cli_set_alpn(config, "http/1.1"))
        return CLI_OK;
    return CLI_FAILED;
}
