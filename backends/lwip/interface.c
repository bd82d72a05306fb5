/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <netif/ethernet.h>

#include <flow/lwip.h>

#include "backends/lwip/stack.h"

/*
 * The Ethernet interface: frames between lwIP and the program's driver.
 *
 * Read and written entered (backends/lwip/stack.h).  The driver is trusted to
 * give frames of the length that it says; what is in them is the network's,
 * and is lwIP's to check.
 */
#define INTERFACE_MTU       1500u
#define INTERFACE_FRAME_MAX (INTERFACE_MTU + SIZEOF_ETH_HDR)
/* Frames without data are shorter: ARP, and segments with TCP's options. */
#define INTERFACE_SMALL 128u
/* Buffers of one frame: TCP's headers, and pieces of a segment. */
#define INTERFACE_PIECES 32

static struct {
    bool attached;
    struct flow_lwip_interface driver;
    struct netif netif;
} interface;

static err_t
interface_send(struct netif *netif, struct pbuf *p)
{
    struct flow_cvec vec[INTERFACE_PIECES];
    size_t count = 0;

    (void)netif;
    for (; p != NULL; p = p->next) {
        if (count == INTERFACE_PIECES)
            return ERR_BUF;
        vec[count].base = p->payload;
        vec[count++].len = p->len;
    }
    return interface.driver.send(interface.driver.ctx, vec, count) ? ERR_OK
                                                                   : ERR_MEM;
}

static err_t
interface_init(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = INTERFACE_MTU;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, interface.driver.hardware, ETH_HWADDR_LEN);
    netif->flags =
        NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = interface_send;
    return ERR_OK;
}

static ip4_addr_t
interface_address(const uint8_t bytes[4])
{
    ip4_addr_t addr;

    memcpy(&addr.addr, bytes, 4);
    return addr;
}

/* Entered. */
static bool
interface_add(const struct flow_lwip_interface *driver)
{
    ip4_addr_t address = interface_address(driver->address);
    ip4_addr_t netmask = interface_address(driver->netmask);
    ip4_addr_t gateway = interface_address(driver->gateway);

    if (interface.attached)
        return false;
    interface.driver = *driver;
    interface.attached = true;
    (void)netif_add(&interface.netif, &address, &netmask, &gateway, NULL,
                    interface_init, ethernet_input);
    /* Without a router other networks have no route, which dialling tells. */
    if (!ip4_addr_isany_val(gateway))
        netif_set_default(&interface.netif);
    netif_set_link_up(&interface.netif);
    netif_set_up(&interface.netif);
    return true;
}

static enum flow_status
interface_refuse(struct flow_error *err, enum flow_status status,
                 const char *text)
{
    return flow_error_set(err, status, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
}

/* See <flow/lwip.h>. */
enum flow_status
flow_lwip_attach(const struct flow_lwip_interface *driver,
                 struct flow_error *ret_err)
{
    enum flow_status st = flow__lwip_check(ret_err);
    bool added;

    if (st != FLOW_OK)
        return st;
    if (driver->send == NULL)
        return interface_refuse(ret_err, FLOW_E_INVAL,
                                "the interface has no send function");
    flow__lwip_enter();
    added = interface_add(driver);
    flow__lwip_leave();
    return added ? FLOW_OK
                 : interface_refuse(ret_err, FLOW_E_BUSY,
                                    "the stack has an interface");
}

/* Memory for a frame that arrived; NULL: there is none.  The pool may be full
 * of bytes that the program does not read yet.  Small frames come from the
 * heap, so that acknowledgements, ends and resets still arrive then: without
 * them the connections that the program does read and write would stop as well.
 */
static struct pbuf *
interface_buffer(size_t len)
{
    struct pbuf *p = NULL;

    if (len <= INTERFACE_SMALL)
        p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
    return p != NULL ? p : pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_POOL);
}

/* Entered. */
static enum flow_status
interface_input(const void *frame, size_t len)
{
    struct pbuf *p;

    if (!interface.attached)
        return FLOW_E_INVAL;
    if (len < SIZEOF_ETH_HDR || len > INTERFACE_FRAME_MAX)
        return FLOW_OK;
    p = interface_buffer(len);
    if (p == NULL)
        return FLOW_AGAIN;
    (void)pbuf_take(p, frame, (u16_t)len);
    if (interface.netif.input(p, &interface.netif) != ERR_OK)
        (void)pbuf_free(p);
    return FLOW_OK;
}

/* See <flow/lwip.h>. */
enum flow_status
flow_lwip_receive(const void *frame, size_t len)
{
    enum flow_status st = flow__lwip_check(NULL);

    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    st = interface_input(frame, len);
    flow__lwip_leave();
    return st;
}
