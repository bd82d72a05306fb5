/* SPDX-License-Identifier: ISC */
#include "cli.h"
#include "keylog.h"
#include "passphrase.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <flow/endpoint.h>

static const char *cli_program = "flow";
volatile sig_atomic_t cli_signals;

/* The handler can only reach what is global. */
static struct flow_poller *volatile woken;

void
cli_start(const char *program)
{
    int fd;

    cli_program = program;
    for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            continue;
        /* open() returns the lowest free number, which is fd.  stdin is opened
         * for writing and the others for reading, so that their use still fails
         * with EBADF. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CLI_FAILED);
    }
}

void
cli_complain(const char *format, ...)
{
    va_list args;

    /* One line, whatever other threads write. */
    flockfile(stderr);
    fprintf(stderr, "%s: ", cli_program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    funlockfile(stderr);
}

int
cli_usage(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", cli_program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry '%s --help'.\n", cli_program);
    return CLI_USAGE;
}

void
cli_flow_error(const char *what, const struct flow_error *err)
{
    struct flow_error told = *err;
    char text[512];

    /* The library names a function of its own. */
    if (strcmp(flow_alert_name(err->alert_received), "certificate_required") ==
        0)
        told.hint = "the server requires a client certificate, and none was "
                    "given that it asked for; give one with --client-cert FILE "
                    "and --client-key FILE";
    flow_error_format(&told, text, sizeof(text));
    cli_complain("%s: %s", what, text);
}

void
cli_within(char *ret, size_t cap, const char *what, enum flow_status st,
           uint64_t limit, const char *option)
{
    if (st == FLOW_E_TIMEOUT)
        snprintf(ret, cap, "%s within %.9g s (%s)", what,
                 (double)limit / (double)CLI_NSEC, option);
    else
        snprintf(ret, cap, "%s", what);
}

int
cli_close_stdout(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    cli_complain("cannot write the output: %s", strerror(errno));
    return CLI_FAILED;
}

int
cli_endpoint_error(const char *what, const struct flow_error *err)
{
    cli_flow_error(what, err);
    return err->status == FLOW_E_INVAL || err->status == FLOW_E_NOTSUP
               ? CLI_USAGE
               : CLI_FAILED;
}

bool
cli_is_tls(const char *endpoint)
{
    return strncmp(endpoint, "tls+", 4) == 0;
}

int
cli_plain(const char *endpoint, bool given)
{
    if (!given)
        return CLI_OK;
    return cli_usage("%s is not encrypted, but there are options for TLS; "
                     "write tls+%s",
                     endpoint, endpoint);
}

void
cli_print_endpoints(void)
{
    const struct flow_scheme *const *scheme = flow_endpoint_schemes();

    printf("An ENDPOINT is one of\n\n");
    for (; *scheme != NULL; scheme++)
        printf("  %s\n", (*scheme)->syntax);
    printf("\nwhere tls+ is TLS on any of the others, such as "
           "tls+tcp://HOST:PORT.\n");
}

bool
cli_seconds(const char *option, const char *text, uint64_t *ret_nsec)
{
    const double year = 365.0 * 24 * 3600;
    double seconds;
    char *end;

    seconds = strtod(text, &end);
    /* Written so that NaN fails too. */
    if (end == text || *end != '\0' || !(seconds >= 0.001 && seconds <= year)) {
        cli_usage("%s: expected a positive number of seconds, got '%s'", option,
                  text);
        return false;
    }
    *ret_nsec = (uint64_t)(seconds * 1e9);
    return true;
}

bool
cli_number(const char *option, const char *text, unsigned long min,
           unsigned long max, unsigned long *ret)
{
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        value < min || value > max) {
        cli_usage("%s: expected a number from %lu to %lu, got '%s'", option,
                  min, max, text);
        return false;
    }
    *ret = value;
    return true;
}

bool
cli_address(const char *option, const char *text, struct cli_address *ret)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    unsigned long port;
    size_t len;

    if (colon == NULL) {
        cli_usage("%s: '%s' has no port; write ADDR:PORT, or :PORT for every "
                  "address",
                  option, text);
        return false;
    }
    len = (size_t)(colon - text);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len) != NULL) {
        cli_usage("%s: '%s': write an IPv6 address in brackets, [ADDR]:PORT",
                  option, text);
        return false;
    }
    if (len >= sizeof(ret->host)) {
        cli_usage("%s: '%s' is too long", option, text);
        return false;
    }
    if (!cli_number(option, colon + 1, 0, 65535, &port))
        return false;
    memcpy(ret->host, host, len);
    ret->host[len] = '\0';
    ret->port = (uint16_t)port;
    return true;
}

static bool
cli_add_path(const char **list, size_t *count, const char *path)
{
    if (*count == CLI_KEYPAIRS) {
        cli_usage("at most %d pairs of certificate and key", CLI_KEYPAIRS);
        return false;
    }
    list[(*count)++] = path;
    return true;
}

bool
cli_add_cert(struct cli_keypairs *pairs, const char *path)
{
    return cli_add_path(pairs->cert, &pairs->cert_count, path);
}

bool
cli_add_key(struct cli_keypairs *pairs, const char *path)
{
    return cli_add_path(pairs->key, &pairs->key_count, path);
}

static bool
cli_load_pairs(const struct cli_keypairs *pairs, struct passphrase *secret,
               struct flow_tls_config *config)
{
    struct flow_error err;
    size_t i;

    for (i = 0; i < pairs->cert_count; i++) {
        if (flow_tls_config_add_keypair_file(
                config, pairs->cert[i], pairs->key[i],
                passphrase_callback(secret), secret, &err) == FLOW_OK)
            continue;
        passphrase_hint(&err);
        cli_flow_error("cannot load certificate and key", &err);
        return false;
    }
    return true;
}

/* Add all pairs; prefix is that of the options.  An exit code. */
static int
cli_add_pairs(const struct cli_keypairs *pairs, const char *prefix,
              struct flow_tls_config *config)
{
    struct passphrase secret = { .len = 0 };
    bool ok = true;

    if (pairs->cert_count != pairs->key_count)
        return cli_usage("%zu --%scert but %zu --%skey: each certificate needs "
                         "its key",
                         pairs->cert_count, prefix, pairs->key_count, prefix);
    if (pairs->passphrase_file != NULL && pairs->key_count == 0)
        return cli_usage("--passphrase-file is for a key, and there is no "
                         "--%skey",
                         prefix);
    if (pairs->passphrase_file != NULL)
        ok = passphrase_read(pairs->passphrase_file, false, &secret);
    ok = ok && cli_load_pairs(pairs, &secret, config);
    flow_wipe(&secret, sizeof(secret));
    return ok ? CLI_OK : CLI_FAILED;
}

int
cli_server_config(const struct cli_keypairs *pairs,
                  const struct clients *clients,
                  struct flow_tls_config **ret_config)
{
    struct flow_tls_config *config;
    struct flow_error err;
    int code;

    if (pairs->cert_count == 0 && pairs->key_count == 0)
        return cli_usage("TLS needs --cert FILE and --key FILE");
    if (flow_tls_config_new_server(NULL, &config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        return CLI_FAILED;
    }
    code = cli_add_pairs(pairs, "", config);
    if (code == CLI_OK)
        code = clients_set_up(clients, config);
    if (code == CLI_OK)
        code = keylog_attach(config);
    if (code == CLI_OK)
        *ret_config = config;
    else
        flow_tls_config_unref(config);
    return code;
}

bool
cli_set_alpn(struct flow_tls_config *config, const char *list)
{
    const char *name[16];
    char *copy = strdup(list);
    char *word, *rest = NULL;
    size_t count = 0;
    bool ok = copy != NULL;

    for (word = ok ? strtok_r(copy, ",", &rest) : NULL; word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        if (count == sizeof(name) / sizeof(name[0])) {
            ok = false;
            break;
        }
        name[count++] = word;
    }
    ok = ok && count > 0 &&
         flow_tls_config_set_alpn(config, name, count) == FLOW_OK;
    if (!ok)
        cli_usage("--alpn: '%s' is not a list of 1 to 16 protocol names", list);
    free(copy);
    return ok;
}

/* Trust every certificate in a directory, such as one made by OpenSSL's
 * c_rehash.  Files without a certificate are ignored. */
static bool
cli_trust_directory(const struct cli_trust *trust, const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    if (directory == NULL) {
        cli_complain("cannot load SSL_CERT_DIR: %s: %s", path, strerror(errno));
        return false;
    }
    while ((entry = readdir(directory)) != NULL) {
        char file[PATH_MAX];
        int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);

        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(file) &&
            trust->add_file(trust->to, file, NULL) == FLOW_OK)
            count++;
    }
    closedir(directory);
    if (count == 0)
        cli_complain("cannot load SSL_CERT_DIR: no certificate in %s", path);
    return count > 0;
}

bool
cli_trust_environment(const struct cli_trust *trust, bool *ret_any)
{
    const char *file = getenv("SSL_CERT_FILE");
    const char *directories = getenv("SSL_CERT_DIR");
    char *copy, *path, *rest = NULL;
    struct flow_error err;
    bool ok;

    *ret_any = file != NULL && file[0] != '\0';
    if (*ret_any && trust->add_file(trust->to, file, &err) != FLOW_OK) {
        cli_flow_error("cannot load SSL_CERT_FILE", &err);
        return false;
    }
    if (directories == NULL || directories[0] == '\0')
        return true;
    *ret_any = true;
    copy = strdup(directories);
    if (copy == NULL) {
        cli_complain("out of memory");
        return false;
    }
    path = strtok_r(copy, ":", &rest);
    ok = path != NULL;
    if (!ok)
        cli_complain("cannot load SSL_CERT_DIR: no directory in '%s'",
                     directories);
    for (; ok && path != NULL; path = strtok_r(NULL, ":", &rest))
        ok = cli_trust_directory(trust, path);
    free(copy);
    return ok;
}

static enum flow_status
cli_add_trust_file(void *config, const char *path, struct flow_error *err)
{
    return flow_tls_config_add_trust_file(config, path, err);
}

static int
cli_set_up_client(const struct cli_client *client,
                  struct flow_tls_config *config)
{
    const struct cli_trust trust = { cli_add_trust_file, config };
    struct flow_error err;
    bool any;
    int code = cli_add_pairs(&client->pairs, "client-", config);

    if (code != CLI_OK)
        return code;
    if (client->ca != NULL &&
        flow_tls_config_add_trust_file(config, client->ca, &err) != FLOW_OK) {
        cli_flow_error("cannot load --ca", &err);
        return CLI_FAILED;
    }
    if (client->ca == NULL && !client->insecure_skip_verify &&
        !cli_trust_environment(&trust, &any))
        return CLI_FAILED;
    if (client->alpn != NULL && !cli_set_alpn(config, client->alpn))
        return CLI_USAGE;
    if (client->only != 0 &&
        flow_tls_config_set_versions(config, client->only, client->only) !=
            FLOW_OK) {
        cli_complain("this build of libflow does not support that TLS version");
        return CLI_FAILED;
    }
    if (flow_tls_config_set_handshake_limits(config, client->handshake_time,
                                             0) != FLOW_OK ||
        flow_tls_config_set_write_records(config, client->write_records) !=
            FLOW_OK)
        return CLI_FAILED;
    if (client->insecure_skip_verify &&
        flow_tls_config_insecure_skip_verify(config, true) != FLOW_OK)
        return CLI_FAILED;
    if (keylog_attach(config) != CLI_OK)
        return CLI_FAILED;
    if (flow_tls_config_set_sessions(config, client->sessions, 1, &err) !=
            FLOW_OK ||
        flow_tls_config_freeze(config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        return CLI_FAILED;
    }
    return CLI_OK;
}

bool
cli_only(struct cli_client *client, enum flow_tls_version version)
{
    if (client->only != 0 && client->only != version) {
        cli_usage("--tls1.2 and --tls1.3 exclude each other; without either "
                  "both are offered");
        return false;
    }
    client->only = version;
    return true;
}

bool
cli_client_given(const struct cli_client *client)
{
    return client->ca != NULL || client->alpn != NULL || client->only != 0 ||
           client->pairs.cert_count + client->pairs.key_count > 0 ||
           client->pairs.passphrase_file != NULL ||
           client->insecure_skip_verify;
}

int
cli_client_config(const struct cli_client *client,
                  struct flow_tls_config **ret_config)
{
    struct flow_tls_config *config;
    struct flow_error err;
    int code;

    if (flow_tls_config_new_client(NULL, &config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        return CLI_FAILED;
    }
    code = cli_set_up_client(client, config);
    if (code != CLI_OK) {
        flow_tls_config_unref(config);
        return code;
    }
    *ret_config = config;
    return CLI_OK;
}

static void
cli_on_signal(int number)
{
    int saved = errno;

    (void)number;
    cli_signals = cli_signals + 1;
    if (woken != NULL)
        flow_poller_wake(woken);
    errno = saved;
}

/* Tell a user who expects a reload that there is none. */
static void
cli_on_hangup(int number)
{
    static const char text[] =
        ": SIGHUP ignored: certificates and files are read at startup only; "
        "restart the program to load new ones\n";
    int saved = errno;

    (void)number;
    /* Only async-signal-safe calls here.  An error is ignored: there is nowhere
     * to report it. */
    (void)!write(STDERR_FILENO, cli_program, strlen(cli_program));
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    errno = saved;
}

/* Leaves SIGHUP ignored if it is, as nohup(1) sets it. */
static bool
cli_catch_hangup(struct sigaction *action)
{
    struct sigaction before;

    if (sigaction(SIGHUP, NULL, &before) != 0)
        return false;
    if (before.sa_handler == SIG_IGN)
        return true;
    action->sa_handler = cli_on_hangup;
    return sigaction(SIGHUP, action, NULL) == 0;
}

bool
cli_catch_signals(struct flow_poller *poller)
{
    struct sigaction action;

    woken = poller;
    memset(&action, 0, sizeof(action));
    action.sa_handler = cli_on_signal;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGTERM, &action, NULL) == 0 &&
        sigaction(SIGINT, &action, NULL) == 0 && cli_catch_hangup(&action))
        return true;
    cli_complain("cannot catch signals: %s", strerror(errno));
    return false;
}

size_t
cli_raise_descriptors(size_t want)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return want;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < want) {
        struct rlimit more = limit;

        more.rlim_cur = want;
        /* Only root may raise the hard limit.  If that fails, use the hard
         * limit as it is. */
        if (more.rlim_max != RLIM_INFINITY && more.rlim_max < want)
            more.rlim_max = want;
        if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
            more.rlim_cur = more.rlim_max = limit.rlim_max;
            if (setrlimit(RLIMIT_NOFILE, &more) != 0)
                more = limit;
        }
        limit = more;
    }
    return limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > want
               ? want
               : (size_t)limit.rlim_cur;
}
