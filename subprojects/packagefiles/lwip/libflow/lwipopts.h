/* SPDX-License-Identifier: ISC */
#ifndef LIBFLOW_LWIPOPTS_H
#define LIBFLOW_LWIPOPTS_H

/*
 * TCP over IPv4 and Ethernet, with the raw interface only.  All that is not
 * used is left out: DHCP, DNS, UDP, raw sockets, IPv6, the socket interface.
 */

/* One caller at a time, which libflow's lock sees to. */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0

#define LWIP_IPV4     1
#define LWIP_IPV6     0
#define LWIP_TCP      1
#define LWIP_UDP      0
#define LWIP_RAW      0
#define LWIP_ICMP     1
#define LWIP_ARP      1
#define LWIP_ETHERNET 1
#define LWIP_STATS    0
/* A host does not forward, and no packet of TCP needs fragments: both are only
 * ways in for others. */
#define IP_FORWARD         0
#define IP_REASSEMBLY      0
#define IP_FRAG            0
#define IP_OPTIONS_ALLOWED 0
/* Ping to a broadcast address is not answered. */
#define LWIP_MULTICAST_PING 0
#define LWIP_BROADCAST_PING 0

/* 127.0.0.1, and packets of a host to itself. */
#define LWIP_HAVE_LOOPIF                   1
#define LWIP_NETIF_LOOPBACK                1
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0
#define LWIP_LOOPBACK_MAX_PBUFS            0

/*
 * Memory is static.  FLOW_LWIP_CONNECTIONS is the number of connections at the
 * same time; one in TIME-WAIT or LAST-ACK makes room for another.  The rest
 * follows from it.  In the heap are the bytes that peers have not acknowledged,
 * at most TCP_SND_BUF of each connection, and all packets of the host to
 * itself.  In the pool are the frames that arrived, at most TCP_WND of each.
 * Few connections use all of that at the same time, so there is memory for half
 * and for a quarter.
 */
#ifndef FLOW_LWIP_CONNECTIONS
#define FLOW_LWIP_CONNECTIONS 128
#endif
#define MEM_ALIGNMENT           16
#define TCP_MSS                 1460
#define TCP_WND                 (24 * TCP_MSS)
#define TCP_SND_BUF             (24 * TCP_MSS)
#define TCP_SND_QUEUELEN        128
#define MEMP_NUM_TCP_PCB        FLOW_LWIP_CONNECTIONS
#define MEMP_NUM_TCP_PCB_LISTEN 8
#define MEMP_NUM_TCP_SEG        (FLOW_LWIP_CONNECTIONS * 16)
#define MEM_SIZE                (FLOW_LWIP_CONNECTIONS * TCP_SND_BUF / 2)
#define PBUF_POOL_SIZE          (FLOW_LWIP_CONNECTIONS * 6)
#define PBUF_POOL_BUFSIZE       1536

/* Every connection is counted by its listener until it was accepted. */
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 1
/* libflow learns when a connection's block is freed. */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
/* Segments out of order of one connection do not take all memory. */
#define TCP_QUEUE_OOSEQ     1
#define TCP_OOSEQ_MAX_BYTES (8 * TCP_MSS)
#define TCP_OOSEQ_MAX_PBUFS 16

#include <stdint.h>

/* RFC 6528; see backends/lwip/isn.c of libflow. */
struct ip4_addr;
uint32_t flow__lwip_isn(const struct ip4_addr *local, uint16_t local_port,
                        const struct ip4_addr *peer, uint16_t peer_port);
#define LWIP_HOOK_TCP_ISN(local, local_port, peer, peer_port)                  \
    flow__lwip_isn(local, local_port, peer, peer_port)

/* Which segments are dropped; see backends/lwip/storm.c of libflow. */
struct tcp_pcb;
struct tcp_hdr;
struct pbuf;
int8_t flow__lwip_storm_filter(const struct tcp_pcb *pcb,
                               const struct tcp_hdr *header,
                               const struct pbuf *data);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, length, length1, second, data) \
    flow__lwip_storm_filter(pcb, header, data)

/* Frees a connection in TIME-WAIT for a new one; see backends/lwip/reopen.c of
 * libflow. */
struct netif;
int flow__lwip_reopen(const struct pbuf *packet);
#define LWIP_HOOK_IP4_INPUT(packet, interface) flow__lwip_reopen(packet)

#endif
