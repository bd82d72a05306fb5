/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "../../common/cli.h"
#include "domain.h"
#include "machine.h"
#include "words.h"

/*
 * The site over vchans alone: main.c without a network.  The words of
 * the command line are vchan=DOMAIN/NAME and seed=TEXT.
 */
int
main(int argc, char **argv)
{
    const char *vchan = words_find(argc, argv, "vchan");

    cli_start("site");
    machine_start(words_find(argc, argv, "seed"));
    if (vchan != NULL)
        return domain_serve(vchan);
    cli_complain("vchan=DOMAIN/NAME is missing on the command line");
    return CLI_FAILED;
}
