/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <flow/pair.h>
#include <flow/tls.h>

/*
 * The cost of a full handshake with both ends in one thread over memory: the
 * median of several rounds in CPU time, which other load disturbs little.  To
 * compare two builds run their programs alternately.
 */

#define ROUNDS    15
#define PER_ROUND 20

static void
check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

static struct flow_tls_config *
configure(bool server, enum flow_tls_version version, const char *name)
{
    struct flow_tls_config *c;
    char chain[512], key[512];

    (void)snprintf(chain, sizeof(chain), "%s/%s.pem", TEST_PKI, name);
    (void)snprintf(key, sizeof(key), "%s/%s.key", TEST_PKI, name);
    check((server ? flow_tls_config_new_server(NULL, &c, NULL)
                  : flow_tls_config_new_client(NULL, &c, NULL)) == FLOW_OK,
          "a configuration");
    check(flow_tls_config_set_versions(c, version, version) == FLOW_OK,
          "a version");
    check((server ? flow_tls_config_add_keypair_file(c, chain, key, NULL, NULL,
                                                     NULL)
                  : flow_tls_config_add_trust_file(c, TEST_PKI "/ca.pem",
                                                   NULL)) == FLOW_OK,
          "a certificate");
    return c;
}

static void
shake(struct flow_tls_config *client, struct flow_tls_config *server)
{
    struct flow *below[2], *a, *b;
    enum flow_status ours = FLOW_AGAIN, theirs = FLOW_AGAIN;

    check(flow_pair_new(NULL, 32768, NULL, &below[0], &below[1]) == FLOW_OK,
          "a pair");
    check(flow_tls_wrap_client(client, below[0], "server.example", 0, &a,
                               NULL) == FLOW_OK,
          "a client");
    check(flow_tls_wrap_server(server, below[1], 0, &b, NULL) == FLOW_OK,
          "a server");
    while (ours == FLOW_AGAIN || theirs == FLOW_AGAIN) {
        ours = flow_open(a);
        theirs = flow_open(b);
    }
    check(ours == FLOW_OK && theirs == FLOW_OK, "a handshake");
    flow_close(a);
    flow_close(b);
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void
measure(enum flow_tls_version version, const char *name)
{
    struct flow_tls_config *client = configure(false, version, name);
    struct flow_tls_config *server = configure(true, version, name);
    double ms[ROUNDS];
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        clock_t before = clock();

        for (i = 0; i < PER_ROUND; i++)
            shake(client, server);
        ms[round] =
            (double)(clock() - before) * 1e3 / CLOCKS_PER_SEC / PER_ROUND;
    }
    qsort(ms, ROUNDS, sizeof(*ms), compare);
    printf("TLS %s, %s: %.3f ms for both ends (%.3f to %.3f), %.0f a second\n",
           version == FLOW_TLS_1_3 ? "1.3" : "1.2", name, ms[ROUNDS / 2], ms[0],
           ms[ROUNDS - 1], 1e3 / ms[ROUNDS / 2]);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
}

int
main(void)
{
    measure(FLOW_TLS_1_2, "p256");
    measure(FLOW_TLS_1_3, "p256");
    measure(FLOW_TLS_1_2, "rsa");
    measure(FLOW_TLS_1_3, "rsa");
    return 0;
}
