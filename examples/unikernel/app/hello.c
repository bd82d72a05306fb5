/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The smallest program of ring 3: prints its arguments and the date. */
int
main(int argc, char **argv)
{
    time_t now = time(NULL);
    int i;

    for (i = 0; i < argc; i++)
        printf("argument %d: %s\n", i, argv[i]);
    printf("date: %s", ctime(&now));
    return EXIT_SUCCESS;
}
