/* SPDX-License-Identifier: ISC */
#include "backends/lwip/isn.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ip4.h>
#include <lwip/tcp.h>

/*
 * A new connection from TIME-WAIT (RFC 1122 4.2.2.13, RFC 9293 3.10.7.4).
 *
 * A client may use the port of an earlier connection again.  lwIP would
 * acknowledge its SYN as one of the old connection for two minutes, and ignore
 * the reset that answers that.  If the SYN begins above all numbers of the old
 * connection, it is a new one: the old block is freed before lwIP looks for it,
 * and the listener gets the SYN.  Our own numbers then also begin above the old
 * ones.
 */

#define REOPEN_LEN (IP_HLEN + TCP_HLEN)

/* A SYN without ACK, in a packet that is not a fragment and has no options of
 * IP. */
static bool
reopen_is_syn(const struct pbuf *p)
{
    const struct ip_hdr *ip = (const struct ip_hdr *)p->payload;
    const struct tcp_hdr *tcp =
        (const struct tcp_hdr *)((const uint8_t *)p->payload + IP_HLEN);

    return p->len >= REOPEN_LEN && IPH_V(ip) == 4 &&
           IPH_HL_BYTES(ip) == IP_HLEN && IPH_PROTO(ip) == IP_PROTO_TCP &&
           (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) == 0 &&
           (TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) ==
               TCP_SYN;
}

static bool
reopen_is_for(const struct tcp_pcb *pcb, const struct ip_hdr *ip,
              const struct tcp_hdr *tcp)
{
    return ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)) == ip->src.addr &&
           ip4_addr_get_u32(ip_2_ip4(&pcb->local_ip)) == ip->dest.addr &&
           pcb->remote_port == lwip_ntohs(tcp->src) &&
           pcb->local_port == lwip_ntohs(tcp->dest);
}

/* See subprojects/packagefiles/lwip/libflow/lwipopts.h. */
int
flow__lwip_reopen(const struct pbuf *p)
{
    const struct ip_hdr *ip = (const struct ip_hdr *)p->payload;
    const struct tcp_hdr *tcp =
        (const struct tcp_hdr *)((const uint8_t *)p->payload + IP_HLEN);
    struct tcp_pcb *pcb;

    if (tcp_tw_pcbs == NULL || !reopen_is_syn(p))
        return 0;
    for (pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next)
        if (reopen_is_for(pcb, ip, tcp))
            break;
    if (pcb != NULL && TCP_SEQ_GT(lwip_ntohl(tcp->seqno), pcb->rcv_nxt)) {
        flow__lwip_isn_exceed(ip_2_ip4(&pcb->local_ip), pcb->local_port,
                              ip_2_ip4(&pcb->remote_ip), pcb->remote_port,
                              pcb->snd_nxt);
        tcp_abort(pcb);
    }
    return 0;
}
