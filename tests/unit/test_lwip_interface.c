/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/lwip.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "unit.h"

/*
 * lwIP's flows over an Ethernet interface, with a peer made of single frames:
 * ARP, sequence numbers of RFC 6528, windows, a peer that is silent, and frames
 * that are not what they should be.
 */
#define SECOND    UINT64_C(1000000000)
#define FRAME_MAX 1514u
#define OURS      0x0a000002u /* 10.0.0.2 */
#define PEERS     0x0a000001u /* 10.0.0.1 */
#define OUR_PORT  80u

#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u

static struct flow__fake fake;
/* The last TCP segment that the stack sent. */
static struct {
    unsigned count;
    uint16_t port; /* Its destination. */
    uint16_t source;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint16_t window;
    size_t len;
} sent;
static unsigned arp_requests;
static bool device_is_full;

static uint16_t
get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
put16(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 8);
    p[1] = (uint8_t)x;
}

static void
put32(uint8_t *p, uint32_t x)
{
    put16(p, x >> 16);
    put16(p + 2, x & 0xffff);
}

static bool
device_send(void *ctx, const struct flow_cvec *vec, size_t count)
{
    uint8_t f[FRAME_MAX];
    size_t len = 0, i;

    assert_ptr_equal(ctx, &fake);
    if (device_is_full)
        return false;
    for (i = 0; i < count; i++) {
        assert_true(len + vec[i].len <= sizeof(f));
        memcpy(f + len, vec[i].base, vec[i].len);
        len += vec[i].len;
    }
    if (get16(f + 12) == 0x0806 && get16(f + 20) == 1)
        arp_requests++;
    if (get16(f + 12) != 0x0800 || f[23] != 6)
        return true;
    assert_int_equal(get32(f + 26), OURS);
    sent.count++;
    sent.source = get16(f + 34);
    sent.port = get16(f + 36);
    sent.seq = get32(f + 38);
    sent.ack = get32(f + 42);
    sent.flags = f[47];
    sent.window = get16(f + 48);
    sent.len = get16(f + 16) - 20u - (size_t)(f[46] >> 4) * 4;
    return true;
}

static uint32_t
sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
    for (; len > 1; p += 2, len -= 2)
        sum += get16(p);
    return len > 0 ? sum + (uint32_t)(p[0] << 8) : sum;
}

static uint32_t
fold(uint32_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* A correct segment of the peer; the length of its frame. */
static size_t
make_segment(uint8_t *f, uint16_t from, uint16_t to, uint32_t seq, uint32_t ack,
             unsigned flags, size_t len)
{
    static const uint8_t head[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
    size_t tcp = 20 + len;

    memset(f, 0, 54);
    memcpy(f, head, sizeof(head));
    f[14] = 0x45;
    put16(f + 16, (uint32_t)(20 + tcp));
    f[22] = 64;
    f[23] = 6;
    put32(f + 26, PEERS);
    put32(f + 30, OURS);
    put16(f + 24, fold(sum_of(f + 14, 20, 0)));
    put16(f + 34, from);
    put16(f + 36, to);
    put32(f + 38, seq);
    put32(f + 42, ack);
    f[46] = 0x50;
    f[47] = (uint8_t)flags;
    put16(f + 48, 8000);
    memset(f + 54, 'p', len);
    put16(f + 50,
          fold(sum_of(f + 34, tcp, sum_of(f + 26, 8, 6 + (uint32_t)tcp))));
    return 34 + tcp;
}

static void
peer_sends(uint16_t from, uint16_t to, uint32_t seq, uint32_t ack,
           unsigned flags, size_t len)
{
    uint8_t f[FRAME_MAX];

    assert_int_equal(
        flow_lwip_receive(f, make_segment(f, from, to, seq, ack, flags, len)),
        FLOW_OK);
}

static void
peer_answers_arp(void)
{
    uint8_t f[42] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6,
                      0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1 };

    put32(f + 28, PEERS);
    f[32] = 2;
    f[37] = 2;
    put32(f + 38, OURS);
    assert_int_equal(flow_lwip_receive(f, sizeof(f)), FLOW_OK);
}

static void
advance(unsigned seconds)
{
    uint64_t end = fake.now + seconds * SECOND;

    while (fake.now < end) {
        flow__fake_advance(&fake, SECOND / 8);
        (void)flow_lwip_poll();
    }
}

static struct flow_listener *
listen_for(int backlog)
{
    struct flow_lwip_options opt = { .backlog = backlog };
    struct flow_listener *l = NULL;

    assert_int_equal(
        flow_lwip_listen(&fake.env, "10.0.0.2", OUR_PORT, &opt, &l, NULL),
        FLOW_OK);
    return l;
}

static struct flow_listener *
listen_there(void)
{
    return listen_for(2);
}

static void
interface_is_attached_once(void **state)
{
    struct flow_lwip_interface device = {
        .hardware = { 2, 0, 0, 0, 0, 2 },
        .address = { 10, 0, 0, 2 },
        .netmask = { 255, 255, 255, 0 },
        .ctx = &fake,
    };

    (void)state;
    flow__fake_init(&fake, 3);
    assert_int_equal(flow_lwip_attach(&device, NULL), FLOW_E_INVAL);
    assert_int_equal(flow_lwip_start(&fake.env, NULL), FLOW_OK);
    assert_int_equal(flow_lwip_receive("", 0), FLOW_E_INVAL);
    assert_int_equal(flow_lwip_attach(&device, NULL), FLOW_E_INVAL);
    device.send = device_send;
    assert_int_equal(flow_lwip_attach(&device, NULL), FLOW_OK);
    assert_int_equal(flow_lwip_attach(&device, NULL), FLOW_E_BUSY);
    peer_answers_arp();
}

/* The number in the answer to a SYN from a port. */
static uint32_t
isn_for(uint16_t port)
{
    unsigned before = sent.count;

    peer_sends(port, OUR_PORT, 1000, 0, SYN, 0);
    assert_int_equal(sent.count, before + 1);
    assert_int_equal(sent.flags, SYN | ACK);
    assert_int_equal(sent.port, port);
    assert_int_equal(sent.ack, 1001);
    peer_sends(port, OUR_PORT, 1001, 0, RST, 0);
    return sent.seq;
}

/* RFC 6528: for the same addresses and ports the clock alone counts, 250,000
 * numbers a second; others differ by something secret. */
static void
initial_sequence_numbers_follow_the_clock_and_a_secret(void **state)
{
    struct flow_listener *l = listen_there();
    uint32_t first = isn_for(4000), other = isn_for(4001), later;
    unsigned i, near = 0;

    (void)state;
    assert_int_equal(isn_for(4000) - first, 0);
    flow__fake_advance(&fake, 3 * SECOND);
    later = isn_for(4000);
    assert_int_equal(later - first, 750000);
    assert_int_equal(isn_for(4001) - other, 750000);
    for (i = 0; i < 64; i++)
        near += isn_for((uint16_t)(4001 + i)) - later < UINT32_C(1) << 26;
    /* One of 64 is expected there. */
    assert_in_range(near, 0, 8);
    flow_listener_close(l);
}

/* Opens a connection of the peer; our sequence number after it. */
static uint32_t
connect_peer(struct flow_listener *l, uint16_t port, struct flow **ret_flow)
{
    uint32_t isn;

    /* The stack forgets hardware addresses after 5 minutes. */
    peer_answers_arp();
    peer_sends(port, OUR_PORT, 1000, 0, SYN, 0);
    assert_int_equal(sent.flags, SYN | ACK);
    isn = sent.seq;
    assert_int_equal(flow_accept(l, ret_flow), FLOW_AGAIN);
    peer_sends(port, OUR_PORT, 1001, isn + 1, ACK, 0);
    assert_int_equal(flow_accept(l, ret_flow), FLOW_OK);
    return isn + 1;
}

/* Opens a connection of the peer and closes it first, so that it stays in
 * TIME-WAIT; our sequence number after it.  The peer's is 1002 then. */
static uint32_t
leave_in_time_wait(struct flow_listener *l, uint16_t port, size_t bytes)
{
    static const uint8_t body[1460];
    struct flow *f = NULL;
    uint32_t ours = connect_peer(l, port, &f);
    size_t n;

    for (; bytes > 0; bytes -= n) {
        n = bytes < sizeof(body) ? bytes : sizeof(body);
        assert_int_equal(flow_write(f, body, n, &n), FLOW_OK);
        ours += (uint32_t)n;
        peer_sends(port, OUR_PORT, 1001, ours, ACK, 0);
    }
    flow_close(f);
    assert_int_equal(sent.flags & FIN, FIN);
    peer_sends(port, OUR_PORT, 1001, ours + 1, FIN | ACK, 0);
    assert_int_equal(sent.ack, 1002);
    return ours + 1;
}

/* RFC 1122 4.2.2.13: a client that uses its port again need not wait until the
 * end of TIME-WAIT. */
static void
port_is_used_again_during_time_wait(void **state)
{
    struct flow_listener *l = listen_there();
    uint32_t ours, before;
    struct flow *f = NULL;

    (void)state;
    ours = leave_in_time_wait(l, 7200, 4);
    /* A duplicate of the old connection does not end it. */
    peer_sends(7200, OUR_PORT, 1002, 0, SYN, 0);
    assert_int_equal(sent.flags & SYN, 0);
    peer_sends(7200, OUR_PORT, 900, 0, SYN, 0);
    assert_int_equal(sent.flags, ACK);
    peer_sends(7200, OUR_PORT, 2000, 0, RST, 0);
    /* Another port is another connection. */
    peer_sends(7201, OUR_PORT, 500000, 0, SYN, 0);
    assert_int_equal(sent.flags, SYN | ACK);
    peer_sends(7201, OUR_PORT, 500001, 0, RST, 0);
    peer_sends(7200, OUR_PORT, 500000, 0, SYN, 0);
    assert_int_equal(sent.flags, SYN | ACK);
    assert_int_equal(sent.ack, 500001);
    assert_true((int32_t)(sent.seq - ours) > 0);
    peer_sends(7200, OUR_PORT, 500001, sent.seq + 1, ACK, 0);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    flow_abort(f);
    flow_close(f);
    /* So too if more was sent than the clock has advanced. */
    ours = leave_in_time_wait(l, 7202, 1 << 20);
    peer_sends(7202, OUR_PORT, 1003, 0, SYN, 0);
    assert_int_equal(sent.flags, SYN | ACK);
    before = sent.seq;
    assert_true((int32_t)(before - ours) > 0);
    peer_sends(7202, OUR_PORT, 1004, 0, RST, 0);
    /* That was for one connection. */
    peer_sends(7202, OUR_PORT, 1003, 0, SYN, 0);
    assert_true((int32_t)(sent.seq - before) < 0);
    peer_sends(7202, OUR_PORT, 1004, 0, RST, 0);
    flow_listener_close(l);
    advance(130);
    assert_int_equal(fake.live_blocks, 0);
}

static void
window_closes_and_opens_with_the_reader(void **state)
{
    struct flow_listener *l = listen_there();
    uint32_t ours, seq = 1001;
    struct flow *f = NULL;
    size_t n, total = 0, i;

    (void)state;
    ours = connect_peer(l, 5000, &f);
    for (i = 0; i < 24; i++) {
        peer_sends(5000, OUR_PORT, seq, ours, ACK, 1460);
        seq += 1460;
    }
    advance(1);
    assert_int_equal(sent.ack, seq);
    assert_int_equal(sent.window, 0);
    /* What does not fit is not taken. */
    peer_sends(5000, OUR_PORT, seq, ours, ACK, 1000);
    assert_int_equal(sent.ack, seq);
    while (flow_read(f, NULL, 10000, &n) == FLOW_OK)
        total += n;
    assert_int_equal(total, 24 * 1460);
    /* A change of less than 4 segments is not announced by itself. */
    assert_in_range(sent.window, 20 * 1460, 24 * 1460);
    flow_abort(f);
    flow_close(f);
    assert_true((sent.flags & RST) != 0);
    flow_listener_close(l);
}

static void
backlog_leaves_further_peers_without_an_answer(void **state)
{
    struct flow_listener *l = listen_there();
    struct flow *f[2];
    unsigned before;

    (void)state;
    peer_sends(6000, OUR_PORT, 1000, 0, SYN, 0);
    peer_sends(6000, OUR_PORT, 1001, sent.seq + 1, ACK, 5);
    peer_sends(6001, OUR_PORT, 1000, 0, SYN, 0);
    peer_sends(6001, OUR_PORT, 1001, sent.seq + 1, ACK, 0);
    before = sent.count;
    peer_sends(6002, OUR_PORT, 1000, 0, SYN, 0);
    assert_int_equal(sent.count, before);
    /* A connection that is reset makes room. */
    peer_sends(6001, OUR_PORT, 1001, 0, RST, 0);
    peer_sends(6002, OUR_PORT, 1000, 0, SYN, 0);
    assert_int_equal(sent.count, before + 1);
    peer_sends(6002, OUR_PORT, 1001, sent.seq + 1, ACK, 0);
    assert_int_equal(flow_accept(l, &f[0]), FLOW_OK);
    assert_int_equal(flow_accept(l, &f[1]), FLOW_OK);
    {
        uint8_t buf[10];
        size_t n;

        /* What arrived before accept is there. */
        assert_int_equal(flow_read(f[0], buf, sizeof(buf), &n), FLOW_OK);
        assert_int_equal(n, 5);
        assert_int_equal(flow_read(f[1], buf, sizeof(buf), &n), FLOW_AGAIN);
    }
    flow_close(f[0]);
    flow_close(f[1]);
    flow_listener_close(l);
    advance(100);
}

static void
dialled_flow_asks_for_the_hardware_address(void **state)
{
    struct flow_lwip_options opt = { .timeout = 5 * SECOND };
    struct flow_error err;
    struct flow *f = NULL;
    unsigned before = arp_requests;

    (void)state;
    assert_int_equal(flow_lwip_dial(&fake.env, "10.0.0.9", 443, &opt, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    assert_int_equal(arp_requests, before + 1);
    assert_int_equal(flow_open_wait(f), FLOW_E_TIMEOUT);
    flow_close(f);
    /* Without a router there is no way to other networks. */
    assert_int_equal(
        flow_lwip_dial(&fake.env, "192.0.2.1", 443, NULL, &f, NULL), FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_E_SYS);
    flow_get_error(f, FLOW_WRITE, &err);
    assert_string_equal(err.text, "no route to host");
    assert_string_equal(err.detail, "192.0.2.1:443");
    flow_close(f);
    assert_int_equal(flow_lwip_dial(&fake.env, "10.0.0.1", 443, NULL, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    assert_int_equal(sent.flags, SYN);
    peer_sends(443, sent.source, 7000, sent.seq + 1, SYN | ACK, 0);
    assert_int_equal(flow_open(f), FLOW_OK);
    assert_int_equal(sent.ack, 7001);
    flow_close(f);
    advance(100);
}

/* A closed flow sends what was accepted, but not for ever. */
static void
silent_peer_does_not_keep_a_closed_flow(void **state)
{
    struct flow_listener *l = listen_there();
    struct flow *f = NULL;
    unsigned before;
    size_t n;

    (void)state;
    (void)connect_peer(l, 7000, &f);
    assert_int_equal(flow_write(f, "farewell", 8, &n), FLOW_OK);
    flow_close(f);
    before = sent.count;
    advance(20);
    assert_true(sent.count > before);
    advance(50);
    assert_true((sent.flags & RST) != 0);
    before = sent.count;
    advance(100);
    assert_int_equal(sent.count, before);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

static void
full_device_only_delays(void **state)
{
    struct flow_listener *l = listen_there();
    struct flow *f = NULL;
    uint32_t ours;
    unsigned before;
    size_t n;

    (void)state;
    ours = connect_peer(l, 7100, &f);
    device_is_full = true;
    before = sent.count;
    assert_int_equal(flow_write(f, "later", 5, &n), FLOW_OK);
    assert_int_equal(sent.count, before);
    device_is_full = false;
    advance(10);
    assert_true(sent.count > before);
    assert_int_equal(sent.seq, ours);
    assert_int_equal(sent.len, 5);
    flow_abort(f);
    flow_close(f);
    flow_listener_close(l);
}

/* A peer fills the window of a connection that is not accepted, with segments
 * of two lengths in turn.  false: the stack took no more frames. */
static bool
fill_window(uint16_t port, size_t first, size_t second)
{
    uint8_t frame[FRAME_MAX];
    uint32_t seq = 1001, ours;
    size_t len = first;

    peer_sends(port, OUR_PORT, 1000, 0, SYN, 0);
    ours = sent.seq + 1;
    peer_sends(port, OUR_PORT, seq, ours, ACK, 0);
    for (; seq - 1001 + len <= 24 * 1460; len = first + second - len) {
        size_t n = make_segment(frame, port, OUR_PORT, seq, ours, ACK, len);

        if (flow_lwip_receive(frame, n) != FLOW_OK)
            return false;
        seq += (uint32_t)len;
    }
    return true;
}

/* Segments of other peers that are not read use up the memory for large frames;
 * an acknowledgement still arrives. */
static void
unread_segments_do_not_keep_acknowledgements_out(void **state)
{
    struct flow_listener *l = listen_for(60);
    struct flow *f = NULL;
    uint32_t ours;
    unsigned before;
    uint16_t i = 0;
    size_t n;

    (void)state;
    ours = connect_peer(l, 7200, &f);
    assert_int_equal(flow_write(f, "answer", 6, &n), FLOW_OK);
    while (i < 60 && fill_window((uint16_t)(10000 + i), 1460, 1460))
        i++;
    assert_in_range(i, 20, 59);
    peer_sends(7200, OUR_PORT, 1001, ours + 6, ACK, 0);
    before = sent.count;
    peer_answers_arp();
    advance(2);
    /* What was acknowledged is not sent again. */
    assert_false(sent.count > before && sent.port == 7200);
    flow_abort(f);
    flow_close(f);
    flow_listener_close(l);
    advance(100);
}

/* The memory of a connection follows its window, whatever the lengths of the
 * segments. */
static void
segments_of_any_length_take_little_memory(void **state)
{
    static const size_t lengths[][2] = { { 513, 1 }, { 1, 1 }, { 600, 100 } };
    size_t i;
    uint16_t k;

    (void)state;
    for (i = 0; i < COUNT(lengths); i++) {
        struct flow_listener *l = listen_for(40);

        for (k = 0; k < 24; k++)
            assert_true(fill_window((uint16_t)(20000 + 100 * i + k),
                                    lengths[i][0], lengths[i][1]));
        flow_listener_close(l);
        advance(100);
    }
}

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return *state >> 8;
}

/* Frames with any bytes changed, and of any length, neither break the stack nor
 * use it up. */
static void
damaged_frames_do_no_harm(void **state)
{
    struct flow_listener *l = listen_there();
    struct flow *f = NULL, *g = NULL;
    uint8_t frame[FRAME_MAX + 10];
    uint32_t seed = 1, ours;
    size_t i, k, len, n;

    (void)state;
    ours = connect_peer(l, 8000, &f);
    for (i = 0; i < 50000; i++) {
        static const unsigned flags[] = { ACK, SYN, FIN | ACK, ACK | 8, 63, 0 };

        len = make_segment(frame, (uint16_t)(8000 + next_random(&seed) % 3),
                           OUR_PORT, 1001 + next_random(&seed) % 40000, ours,
                           flags[next_random(&seed) % COUNT(flags)],
                           next_random(&seed) % 200);
        for (k = next_random(&seed) % 4; k > 0; k--)
            frame[12 + next_random(&seed) % (len - 12)] =
                (uint8_t)next_random(&seed);
        if (next_random(&seed) % 8 == 0)
            len = next_random(&seed) % sizeof(frame);
        (void)!flow_lwip_receive(frame, len);
        if (i % 100 == 0) {
            advance(1);
            while (flow_accept(l, &g) == FLOW_OK)
                flow_close(g);
            (void)!flow_read(f, NULL, 1000, &n);
        }
    }
    flow_close(f);
    advance(300);
    /* It still works. */
    (void)connect_peer(l, 9000, &f);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interface_is_attached_once),
        cmocka_unit_test(
            initial_sequence_numbers_follow_the_clock_and_a_secret),
        cmocka_unit_test(port_is_used_again_during_time_wait),
        cmocka_unit_test(window_closes_and_opens_with_the_reader),
        cmocka_unit_test(backlog_leaves_further_peers_without_an_answer),
        cmocka_unit_test(dialled_flow_asks_for_the_hardware_address),
        cmocka_unit_test(silent_peer_does_not_keep_a_closed_flow),
        cmocka_unit_test(full_device_only_delays),
        cmocka_unit_test(unread_segments_do_not_keep_acknowledgements_out),
        cmocka_unit_test(segments_of_any_length_take_little_memory),
        cmocka_unit_test(damaged_frames_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
