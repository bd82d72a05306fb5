/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_CLI_H
#define EXAMPLES_COMMON_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/poller.h>
#include <flow/status.h>
#include <flow/tls_session.h>

#include "clients.h"

/*
 * What the command lines of the programs share.  If a function that returns
 * bool or an exit code fails, it has printed the reason on stderr.
 */

/* Exit codes of every program. */
#define CLI_OK     0
#define CLI_FAILED 1
#define CLI_USAGE  2

#define CLI_NSEC UINT64_C(1000000000)

/*
 * Call first in main().  Sets the name that begins every message, and opens
 * /dev/null for each standard descriptor that is closed: otherwise the next
 * socket would get its number, and messages would go to the peer.
 */
void cli_start(const char *program);

void cli_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* Prints the message and a pointer to --help; returns CLI_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes WHAT to ret, or, if st is FLOW_E_TIMEOUT, "WHAT within 20 s
 * (OPTION)". */
void cli_within(char *ret, size_t cap, const char *what, enum flow_status st,
                uint64_t limit, const char *option);
/* Prints "WHAT: " and the error in one line, with its hint. */
void cli_flow_error(const char *what, const struct flow_error *err);

/* Flush stdout.  Returns code, or CLI_FAILED if the output cannot be written,
 * to a full disk for example. */
int cli_close_stdout(int code);

/* As cli_flow_error(); returns CLI_USAGE if the endpoint is not valid. */
int cli_endpoint_error(const char *what, const struct flow_error *err);
bool cli_is_tls(const char *endpoint);
/* For an endpoint without TLS.  CLI_USAGE if an option about TLS was given:
 * the user would believe that the connection is encrypted. */
int cli_plain(const char *endpoint, bool given);
/* Prints the endpoints of this build, for --help. */
void cli_print_endpoints(void);

/* Seconds with decimals, above 0 and up to a year, as nanoseconds. */
bool cli_seconds(const char *option, const char *text, uint64_t *ret_nsec);
bool cli_number(const char *option, const char *text, unsigned long min,
                unsigned long max, unsigned long *ret);

struct cli_address {
    char host[256]; /* without brackets; "" for any */
    uint16_t port;
};

/* "ADDR:PORT", "[ADDR]:PORT", ":PORT". */
bool cli_address(const char *option, const char *text, struct cli_address *ret);

#define CLI_KEYPAIRS 64

/* Repeated --cert and --key, or --client-cert and --client-key; the n-th key
 * belongs to the n-th certificate. */
struct cli_keypairs {
    const char *cert[CLI_KEYPAIRS];
    const char *key[CLI_KEYPAIRS];
    size_t cert_count;
    size_t key_count;
    const char *passphrase_file; /* of all keys, or NULL */
};

bool cli_add_cert(struct cli_keypairs *pairs, const char *path);
bool cli_add_key(struct cli_keypairs *pairs, const char *path);

/* A new configuration for a server, not frozen yet.  Returns an exit code. */
int cli_server_config(const struct cli_keypairs *pairs,
                      const struct clients *clients,
                      struct flow_tls_config **ret_config);

/* Where the certificates of a file are added to those that are trusted. */
struct cli_trust {
    enum flow_status (*add_file)(void *to, const char *path,
                                 struct flow_error *err);
    void *to;
};

/* Trust the certificates of SSL_CERT_FILE and SSL_CERT_DIR, which replace the
 * system's trust store, as in programs that use OpenSSL.  *ret_any: whether one
 * of them is set. */
bool cli_trust_environment(const struct cli_trust *trust, bool *ret_any);

/* Options of a client about TLS. */
struct cli_client {
    const char *ca;             /* file of trusted certificates, or NULL:
                                   SSL_CERT_FILE, SSL_CERT_DIR, the system's */
    struct cli_keypairs pairs;  /* the client's own */
    const char *alpn;           /* comma-separated, or NULL */
    enum flow_tls_version only; /* one version, or 0 */
    bool insecure_skip_verify;
    uint64_t handshake_time; /* ns; 0: only the limit of the whole opening */
    unsigned write_records;  /* sent at once; 0: as many as usual */
    struct flow_tls_sessions *sessions; /* a store, or NULL */
};

bool cli_only(struct cli_client *client, enum flow_tls_version version);
/* Whether any of these options was given. */
bool cli_client_given(const struct cli_client *client);
/* As cli_server_config(). */
int cli_client_config(const struct cli_client *client,
                      struct flow_tls_config **ret_config);
bool cli_set_alpn(struct flow_tls_config *config, const char *list);

/* How many SIGTERM and SIGINT have arrived; each ends a flow_poller_wait() of
 * the poller.  Call cli_catch_signals(NULL) before the poller is freed.  SIGHUP
 * only prints that nothing is reloaded, unless "reload.h" waits for it. */
extern volatile sig_atomic_t cli_signals;
bool cli_catch_signals(struct flow_poller *poller);

/* Raise the limit on open files to `want`; returns how many the process may
 * open, at most `want`. */
size_t cli_raise_descriptors(size_t want);

#endif
