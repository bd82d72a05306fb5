/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "../../common/cli.h"
#include "domain.h"
#include "machine.h"
#include "network.h"
#include "serve.h"
#include "words.h"

/*
 * The words of the command line:
 *
 *   ip=ADDRESS/BITS    the address of the network card
 *   router=ADDRESS     where other networks are reached
 *   https-port=PORT    the port in redirects, if another one is forwarded here
 *   vchan=DOMAIN/NAME  instead of the network: vchans for a domain of Xen
 *   seed=TEXT          mixed into the random bytes, and never enough alone
 *
 * Other words are the loader's.  Ctrl-C on the console ends it as SIGINT ends
 * flow-site, and so does "xl shutdown".
 */

#define MAIN_HTTP  80
#define MAIN_HTTPS 443

/* From the command line. */
struct main_network {
    const char *address, *router;
};

static bool
main_listen(struct serve_place *place)
{
    const struct main_network *network = place->ctx;

    return network_start(network->address, network->router) &&
           network_listen(MAIN_HTTPS, &place->lower) &&
           network_listen(MAIN_HTTP, &place->plain);
}

static int
main_serve_network(int argc, char **argv, const char *address)
{
    const char *port = words_find(argc, argv, "https-port");
    unsigned long https_port = MAIN_HTTPS;
    struct main_network network = { address, words_find(argc, argv, "router") };
    struct serve_place place = { .listen = main_listen,
                                 .ctx = &network,
                                 .name = "ports 443 and 80" };

    if (port != NULL &&
        !cli_number("https-port", port, 1, UINT16_MAX, &https_port))
        return CLI_FAILED;
    place.https_port = (uint16_t)https_port;
    return serve(&place);
}

int
main(int argc, char **argv)
{
    const char *address = words_find(argc, argv, "ip");
    const char *vchan = words_find(argc, argv, "vchan");

    cli_start("site");
    machine_start(words_find(argc, argv, "seed"));
    if (vchan != NULL)
        return domain_serve(vchan);
    if (address != NULL)
        return main_serve_network(argc, argv, address);
    cli_complain("the command line has neither ip=ADDRESS/BITS nor "
                 "vchan=DOMAIN/NAME");
    return CLI_FAILED;
}
