/* SPDX-License-Identifier: ISC */
#include "words.h"

#include <string.h>

const char *
words_find(int argc, char **argv, const char *name)
{
    const char *value = NULL;
    size_t len = strlen(name);
    int i;

    for (i = 1; i < argc; i++)
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            value = argv[i] + len + 1;
    return value;
}
