/* SPDX-License-Identifier: ISC */
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

/*
 * Keeps two stacks of lwIP from answering each other's acknowledgements without
 * end.
 *
 * RFC 9293 3.10.7.4 wants an acknowledgement for a segment outside of the
 * window, and to lwIP a segment without data is outside of a window of 0.  If
 * both windows are 0, the answer is answered, and on the loopback interface
 * nothing else happens.  RFC 5961 section 7 lets a host limit such answers.  An
 * acknowledgement that acknowledges nothing new, changes no window and repeats
 * no old sequence number (as keepalive probes do) tells nothing, and is
 * dropped.
 */
err_t
flow__lwip_storm_filter(const struct tcp_pcb *pcb, const struct tcp_hdr *header,
                        const struct pbuf *data)
{
    if (pcb->state < ESTABLISHED || pcb->state >= TIME_WAIT)
        return ERR_OK;
    if (TCPH_FLAGS(header) != TCP_ACK || data->tot_len > 0)
        return ERR_OK;
    /* lwIP has converted the numbers to the host's order. */
    if (header->ackno != pcb->lastack || header->wnd != pcb->snd_wnd ||
        TCP_SEQ_LT(header->seqno, pcb->rcv_nxt) ||
        TCP_SEQ_LT(header->seqno, pcb->rcv_nxt + pcb->rcv_wnd))
        return ERR_OK;
    return ERR_VAL;
}
