/* SPDX-License-Identifier: ISC */
#include <flow/contract.h>

#include "backends.h"

/* The contract suite over the backends of this tree. */
int
main(int argc, char **argv)
{
    size_t count;
    const struct flow_contract_backend *list = backends(&count);

    return flow_contract_main(argc, argv, list, count);
}
