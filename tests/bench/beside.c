/* SPDX-License-Identifier: ISC */
/*
 * libflow's TLS beside that of other libraries in the same run: records,
 * handshakes, memory of an idle connection.
 *
 * usage: beside [--alone] [--mbedtls MODULE] [--row TEXT]
 *
 *   --alone            only libflow and no ratios, for a profiler
 *   --mbedtls MODULE   also beside peer_mbedtls.c, compiled to a module
 *   --row TEXT         only rows whose line begins with TEXT
 *
 * FLOW_TEST_AEAD in the environment names the provider of our ciphers.
 *
 * Every library is driven through its public interface (peer.h), both ends in
 * one thread.  A round is some slices of each library in turn, so that whatever
 * else the machine does slows all; a slice is timed in CPU time of the thread.
 * A ratio is how many times as long the other library took for the same work in
 * the same round; the median of the rounds and their quartiles are printed, one
 * row a line, fields separated by tabs:
 *
 *     kind  row  library  transport  what  median  quartile  quartile
 *     ours  unit
 *
 * For memory the ratio is that of the bytes.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "peer.h"

#define ROUNDS         9
#define SLICES         4
#define SLICE_NSEC     5e6
#define PEERS          4
#define SUITES         (sizeof(suite_names) / sizeof(suite_names[0]))
#define CONTENT        16384u
#define BATCH_BYTES    (256u * 1024u)
#define BATCH_RECORDS  1024u
#define SOCKET_BYTES   (64u * 1024u)
#define SOCKET_RECORDS 128u
#define ROOM_RECORDS   (512u * 1024u)
#define ROOM_HANDSHAKE (32u * 1024u)
#define IDLE           200u

/* Index 0: libflow. */
static const struct bench_peer *peers[PEERS] = { &bench_libflow, &bench_openssl,
                                                 &bench_gnutls };
static const char *wanted = ""; /* the beginning of a line */
static uint8_t content[CONTENT];
static uint8_t buffer[CONTENT];

/* What is measured apart: of records writing and reading, of handshakes both
 * ends and the server. */
enum part { PART_FIRST, PART_SECOND, PART_SUM, PARTS };

/* A library in a row. */
struct side {
    const struct bench_peer *peer;
    void *setup;
    void *conn;
    unsigned work;      /* batches or handshakes of a slice */
    double nsec[PARTS]; /* of this round */
    double units;       /* done in this round */
    bool has_ticket;
};

/* A row of the table, with what is done in a slice. */
struct row {
    const char *kind;
    char name[64];
    const char *transport;
    const char *part[PARTS]; /* NULL: not told */
    struct bench_terms terms;
    enum bench_transport carrier;
    size_t size;
    void (*slice)(const struct row *row, struct side *side);
};

void
bench_check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "beside: failed: %s\n", what);
    exit(1);
}

const char *
bench_key(const char *file)
{
    static char path[2][512];
    static unsigned turn;

    turn = 1 - turn;
    (void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", BENCH_PKI, file);
    return path[turn];
}

void
bench_sockets(int fd[2])
{
    const int size = 1 << 20;

    bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
    for (unsigned i = 0; i < 2; i++)
        bench_check(fcntl(fd[i], F_SETFL, O_NONBLOCK) == 0 &&
                        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size,
                                   sizeof(size)) == 0,
                    "socket options");
}

static double
cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
shake(struct side *side)
{
    bool done[2] = { false, false };

    while (!done[0] || !done[1])
        for (unsigned end = 0; end < 2; end++)
            if (!done[end])
                done[end] = side->peer->step(side->conn, end);
}

static void
hang_up(struct side *side)
{
    side->peer->close_end(side->conn, BENCH_CLIENT);
    side->peer->close_end(side->conn, BENCH_SERVER);
    side->peer->close(side->conn);
    side->conn = NULL;
}

static void
receive(struct side *side, enum bench_end end, size_t len)
{
    while (len > 0)
        len -= side->peer->read(side->conn, end, buffer, sizeof(buffer));
}

static void
send_records(struct side *side, enum bench_end end, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        side->peer->write(side->conn, end, content, size);
    if (side->peer->flush != NULL)
        side->peer->flush(side->conn, end);
}

/* How many records of a size the transport takes without a reader. */
static size_t
batch(const struct row *row)
{
    const bool memory = row->carrier == BENCH_MEMORY;
    const size_t bytes = memory ? BATCH_BYTES : SOCKET_BYTES;
    const size_t most = memory ? BATCH_RECORDS : SOCKET_RECORDS;

    return bytes / row->size < most ? bytes / row->size : most;
}

static void
slice_of_records(const struct row *row, struct side *side)
{
    const size_t count = batch(row);

    for (unsigned i = 0; i < side->work; i++) {
        const double start = cpu_now();
        double half;

        send_records(side, BENCH_SERVER, row->size, count);
        half = cpu_now();
        receive(side, BENCH_CLIENT, row->size * count);
        side->nsec[PART_FIRST] += half - start;
        side->nsec[PART_SECOND] += cpu_now() - half;
    }
    side->units += (double)(side->work * count);
}

/* The server's part counts its steps alone; the sum all of it. */
static void
slice_of_handshakes(const struct row *row, struct side *side)
{
    for (unsigned i = 0; i < side->work; i++) {
        const double start = cpu_now();
        bool done[2] = { false, false };
        double server = 0;

        side->conn =
            side->peer->connect(side->setup, row->carrier, ROOM_HANDSHAKE);
        while (!done[0] || !done[1]) {
            if (!done[0])
                done[0] = side->peer->step(side->conn, BENCH_CLIENT);
            server -= cpu_now();
            if (!done[1])
                done[1] = side->peer->step(side->conn, BENCH_SERVER);
            server += cpu_now();
        }
        if (row->terms.resumes) {
            side->peer->take_ticket(side->conn);
            /* The first of all has no ticket. */
            bench_check(side->has_ticket == side->peer->is_resumed(side->conn),
                        "resuming a session");
            side->has_ticket = true;
        }
        hang_up(side);
        side->nsec[PART_FIRST] += cpu_now() - start - server;
        side->nsec[PART_SECOND] += server;
    }
    side->units += side->work;
}

/* So much work that a slice takes about SLICE_NSEC. */
static void
calibrate(const struct row *row, struct side *side)
{
    side->work = 1;
    row->slice(row, side);
    for (;;) {
        double took;

        memset(side->nsec, 0, sizeof(side->nsec));
        row->slice(row, side);
        took = side->nsec[PART_FIRST] + side->nsec[PART_SECOND];
        if (took >= SLICE_NSEC / 2)
            break;
        side->work *= 2;
    }
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
print_line(const struct row *row, const struct bench_peer *peer,
           const char *what, double ratio[ROUNDS], double ours,
           const char *unit)
{
    qsort(ratio, ROUNDS, sizeof(*ratio), by_value);
    printf("%s\t%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.1f\t%s\n", row->kind,
           row->name, peer->name, row->transport, what, ratio[ROUNDS / 2],
           ratio[ROUNDS / 4], ratio[ROUNDS - 1 - ROUNDS / 4], ours, unit);
    fflush(stdout);
}

static unsigned
open_sides(const struct row *row, struct side side[PEERS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < PEERS && peers[i] != NULL; i++) {
        struct side *s = &side[count];

        *s = (struct side){ .peer = peers[i] };
        s->setup = s->peer->setup(&row->terms);
        if (s->setup == NULL)
            continue;
        if (row->size > 0) {
            s->conn = s->peer->connect(s->setup, row->carrier, ROOM_RECORDS);
            shake(s);
        }
        calibrate(row, s);
        count++;
    }
    return count;
}

static void
play(const struct row *row, struct side side[PEERS], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(side[i].nsec, 0, sizeof(side[i].nsec));
        side[i].units = 0;
    }
    for (unsigned slice = 0; slice < SLICES; slice++)
        for (unsigned i = 0; i < count; i++)
            row->slice(row, &side[(i + slice) % count]);
    for (unsigned i = 0; i < count; i++)
        side[i].nsec[PART_SUM] =
            side[i].nsec[PART_FIRST] + side[i].nsec[PART_SECOND];
}

/* Whether the beginning of a row's lines is what --row names. */
static bool
is_wanted(const struct row *row)
{
    char line[128];

    (void)snprintf(line, sizeof(line), "%s\t%s", row->kind, row->name);
    return strncmp(line, wanted, strlen(wanted)) == 0;
}

static void
measure(const struct row *row)
{
    struct side side[PEERS];
    double ratio[PEERS][PARTS][ROUNDS];
    double ours[PARTS][ROUNDS];
    unsigned count;

    if (!is_wanted(row))
        return;
    count = open_sides(row, side);
    for (unsigned round = 0; round < ROUNDS; round++) {
        play(row, side, count);
        for (unsigned part = 0; part < PARTS; part++) {
            ours[part][round] = side[0].nsec[part] / side[0].units;
            for (unsigned i = 1; i < count; i++)
                ratio[i][part][round] =
                    side[i].nsec[part] / side[i].units / ours[part][round];
        }
    }
    for (unsigned part = 0; part < PARTS; part++) {
        qsort(ours[part], ROUNDS, sizeof(**ours), by_value);
        for (unsigned i = 1; i < count && row->part[part] != NULL; i++)
            print_line(row, side[i].peer, row->part[part], ratio[i][part],
                       ours[part][ROUNDS / 2], "ns");
    }
    for (unsigned i = 0; i < count; i++) {
        if (side[i].conn != NULL)
            hang_up(&side[i]);
        side[i].peer->teardown(side[i].setup);
    }
}

static const char *const suite_names[] = { "AES-128-GCM", "AES-256-GCM",
                                           "ChaCha20-Poly1305", "AES-128-CCM" };

static void
measure_records(enum bench_suite suite, bool tls13, size_t size,
                enum bench_transport transport)
{
    struct row row = {
        .kind = "records",
        .transport = transport == BENCH_MEMORY ? "memory" : "sockets",
        .part = { "write", "read", "both" },
        .terms = { .suite = suite, .tls13 = tls13 },
        .carrier = transport,
        .size = size,
        .slice = slice_of_records,
    };

    (void)snprintf(row.name, sizeof(row.name), "TLS 1.%d %s %zu B",
                   tls13 ? 3 : 2, suite_names[suite], size);
    measure(&row);
}

static void
measure_handshakes(bool tls13, enum bench_group group, bool is_rsa)
{
    struct row row = {
        .kind = "handshakes",
        .transport = "memory",
        .part = { NULL, "server", "both" },
        .terms = { .tls13 = tls13, .group = group, .is_rsa = is_rsa },
        .carrier = BENCH_MEMORY,
        .slice = slice_of_handshakes,
    };

    (void)snprintf(row.name, sizeof(row.name), "TLS 1.%d %s, %s key",
                   tls13 ? 3 : 2, group == BENCH_P256 ? "P-256" : "x25519",
                   is_rsa ? "RSA-2048" : "P-256");
    measure(&row);
}

/* With the key exchange of a full handshake, and with the ticket for the next
 * one. */
static void
measure_resumed(bool tls13, enum bench_group group)
{
    struct row row = {
        .kind = "handshakes",
        .transport = "memory",
        .part = { NULL, "server", "both" },
        .terms = { .tls13 = tls13, .group = group, .resumes = true },
        .carrier = BENCH_MEMORY,
        .slice = slice_of_handshakes,
    };

    (void)snprintf(row.name, sizeof(row.name), "TLS 1.%d %s, resumed",
                   tls13 ? 3 : 2, group == BENCH_P256 ? "P-256" : "x25519");
    measure(&row);
}

/* Bytes that a server's end of an idle connection holds, its transport
 * included, after 16 KiB went each way and it waits for more. */
static double
idle_bytes(const struct bench_peer *peer, const struct bench_terms *terms)
{
    struct side side[IDLE];
    void *setup = peer->setup(terms);
    size_t before, after;

    if (setup == NULL)
        return 0;
    for (unsigned i = 0; i < IDLE; i++) {
        side[i] = (struct side){ .peer = peer, .setup = setup };
        side[i].conn = peer->connect(setup, BENCH_SOCKETS, 0);
        shake(&side[i]);
        for (unsigned end = 0; end < 2; end++) {
            send_records(&side[i], end, CONTENT, 1);
            receive(&side[i], 1 - end, CONTENT);
        }
        peer->settle(side[i].conn, BENCH_SERVER);
    }
    before = mallinfo2().uordblks;
    for (unsigned i = 0; i < IDLE; i++)
        peer->close_end(side[i].conn, BENCH_SERVER);
    after = mallinfo2().uordblks;
    for (unsigned i = 0; i < IDLE; i++) {
        peer->close_end(side[i].conn, BENCH_CLIENT);
        peer->close(side[i].conn);
    }
    peer->teardown(setup);
    return (double)(before - after) / IDLE;
}

/* The same in every round, so one is enough. */
static void
measure_memory(bool tls13)
{
    const struct bench_terms terms = { .tls13 = tls13 };
    struct row row = { .kind = "memory", .transport = "sockets" };
    double ours;

    (void)snprintf(row.name, sizeof(row.name), "TLS 1.%d idle server",
                   tls13 ? 3 : 2);
    if (!is_wanted(&row))
        return;
    ours = idle_bytes(peers[0], &terms);
    for (unsigned i = 1; i < PEERS && peers[i] != NULL; i++) {
        const double theirs = idle_bytes(peers[i], &terms);
        double ratio[ROUNDS];

        for (unsigned round = 0; round < ROUNDS; round++)
            ratio[round] = theirs / ours;
        print_line(&row, peers[i], "heap", ratio, ours, "B");
    }
}

static void
measure_suite(enum bench_suite suite, bool tls13,
              enum bench_transport transport)
{
    static const size_t sizes[] = { 16384, 4096, 1024, 64 };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure_records(suite, tls13, sizes[i], transport);
}

static void
measure_all_records(void)
{
    for (unsigned tls12 = 0; tls12 < 2; tls12++)
        for (unsigned suite = 0; suite < SUITES; suite++)
            measure_suite(suite, !tls12, BENCH_MEMORY);
    measure_suite(BENCH_AES_128_GCM, true, BENCH_SOCKETS);
}

static void
measure_all_handshakes(void)
{
    for (unsigned tls12 = 0; tls12 < 2; tls12++) {
        measure_handshakes(!tls12, BENCH_P256, false);
        measure_handshakes(!tls12, BENCH_X25519, false);
        measure_handshakes(!tls12, BENCH_X25519, true);
    }
    measure_resumed(true, BENCH_P256);
    measure_resumed(true, BENCH_X25519);
}

static void
load_mbedtls(const char *path)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (module == NULL)
        fprintf(stderr, "beside: %s\n", dlerror());
    bench_check(module != NULL, "loading mbedTLS");
    peers[3] = dlsym(module, "bench_mbedtls");
    bench_check(peers[3] != NULL, "loading mbedTLS");
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "alone", no_argument, NULL, 'a' },
        { "mbedtls", required_argument, NULL, 'm' },
        { "row", required_argument, NULL, 'r' },
        { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'a')
            peers[1] = NULL;
        else if (option == 'm')
            load_mbedtls(optarg);
        else if (option == 'r')
            wanted = optarg;
        else
            return 2;
    }
    if (optind != argc) {
        fprintf(stderr, "beside: unknown argument '%s'\n", argv[optind]);
        return 2;
    }
    for (unsigned i = 0; i < PEERS && peers[i] != NULL; i++)
        printf("version\t%s\t%s\n", peers[i]->name, peers[i]->version());
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)i;
    measure_memory(true);
    measure_memory(false);
    measure_all_handshakes();
    measure_all_records();
    return 0;
}
