/* SPDX-License-Identifier: ISC */
#include "backends/lwip/isn.h"

#include <string.h>

#include <lwip/ip4_addr.h>

/*
 * Initial sequence numbers by RFC 6528:
 *
 *     ISN = M + F(local address and port, peer's address and port, key)
 *
 * M advances every 4 microseconds, so a connection that reuses both addresses
 * and ports begins above the numbers of the one before.  F is SipHash-2-4, a
 * pseudo-random function: an attacker that sees the numbers of its own
 * connections learns nothing about those of others.
 *
 * Where a connection is reopened from TIME-WAIT, numbers that were sent faster
 * than M advances could be ahead of it: the next connection of the same
 * addresses and ports then begins above them.
 *
 * The key is made once, when the stack starts, before any thread uses it.  The
 * floor is read and written entered (backends/lwip/stack.h).
 */
#define ISN_TICK_NSEC 4000u
/* So far above the numbers of a reopened connection begins the next one. */
#define ISN_DISTANCE 65536u
#define ISN_WHO      12u

static struct {
    const struct flow_env *env;
    uint8_t key[16];
    uint64_t drawn; /* Random numbers so far. */
    struct {
        bool is_set;
        uint8_t who[ISN_WHO];
        uint32_t number;
    } floor;
} isn;

struct isn_state {
    uint64_t v[4];
};

static uint64_t
isn_rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t
isn_load(const uint8_t *p, size_t len)
{
    uint64_t x = 0;

    while (len > 0)
        x = x << 8 | p[--len];
    return x;
}

static void
isn_rounds(struct isn_state *s, unsigned count)
{
    uint64_t *v = s->v;

    for (; count > 0; count--) {
        v[0] += v[1];
        v[1] = isn_rotate(v[1], 13) ^ v[0];
        v[0] = isn_rotate(v[0], 32);
        v[2] += v[3];
        v[3] = isn_rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = isn_rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = isn_rotate(v[1], 17) ^ v[2];
        v[2] = isn_rotate(v[2], 32);
    }
}

static void
isn_absorb(struct isn_state *s, uint64_t word)
{
    s->v[3] ^= word;
    isn_rounds(s, 2);
    s->v[0] ^= word;
}

uint64_t
flow__lwip_siphash(const uint8_t key[16], const uint8_t *data, size_t len)
{
    uint64_t k0 = isn_load(key, 8), k1 = isn_load(key + 8, 8);
    struct isn_state s = {
        { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
          k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) }
    };
    uint64_t last = (uint64_t)len << 56;

    for (; len >= 8; data += 8, len -= 8)
        isn_absorb(&s, isn_load(data, 8));
    isn_absorb(&s, last | isn_load(data, len));
    s.v[2] ^= 0xff;
    isn_rounds(&s, 4);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

bool
flow__lwip_isn_seed(const struct flow_env *env)
{
    isn.env = env;
    return env->random(env->ctx, isn.key, sizeof(isn.key));
}

static void
isn_identify(uint8_t who[ISN_WHO], const struct ip4_addr *local,
             uint16_t local_port, const struct ip4_addr *peer,
             uint16_t peer_port)
{
    memcpy(who, &local->addr, 4);
    memcpy(who + 4, &peer->addr, 4);
    memcpy(who + 8, &local_port, 2);
    memcpy(who + 10, &peer_port, 2);
}

void
flow__lwip_isn_exceed(const struct ip4_addr *local, uint16_t local_port,
                      const struct ip4_addr *peer, uint16_t peer_port,
                      uint32_t number)
{
    isn_identify(isn.floor.who, local, local_port, peer, peer_port);
    isn.floor.number = number;
    isn.floor.is_set = true;
}

/* See subprojects/packagefiles/lwip/libflow/lwipopts.h. */
uint32_t
flow__lwip_isn(const struct ip4_addr *local, uint16_t local_port,
               const struct ip4_addr *peer, uint16_t peer_port)
{
    uint64_t now = isn.env->now(isn.env->ctx);
    uint8_t who[ISN_WHO];
    uint32_t number;

    isn_identify(who, local, local_port, peer, peer_port);
    number = (uint32_t)(now / ISN_TICK_NSEC) +
             (uint32_t)flow__lwip_siphash(isn.key, who, sizeof(who));
    if (!isn.floor.is_set || memcmp(who, isn.floor.who, sizeof(who)) != 0)
        return number;
    isn.floor.is_set = false;
    return (int32_t)(number - isn.floor.number) > 0
               ? number
               : isn.floor.number + ISN_DISTANCE;
}

/* See subprojects/packagefiles/lwip/libflow/arch/cc.h.  Differs in length from
 * the input of sequence numbers. */
uint32_t
flow__lwip_random(void)
{
    uint8_t nth[8];

    isn.drawn++;
    memcpy(nth, &isn.drawn, sizeof(nth));
    return (uint32_t)flow__lwip_siphash(isn.key, nth, sizeof(nth));
}
