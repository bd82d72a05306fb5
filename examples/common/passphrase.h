/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_PASSPHRASE_H
#define EXAMPLES_COMMON_PASSPHRASE_H

#include <flow/tls_config.h>

/* The first line of --passphrase-file; flow_wipe() it after use. */
struct passphrase {
    char text[258]; /* one more than the longest, and its end of line */
    size_t len;     /* 0: there is none */
};

/*
 * only_regular: refuse a pipe.  A server reads the file again when it loads its
 * certificates again, and must not wait then.  If it returns false, it has
 * printed the reason, and there is none.
 */
bool passphrase_read(const char *path, bool only_regular,
                     struct passphrase *ret);
/* What to give with a pair of certificate and key, besides the struct; NULL if
 * there is none. */
flow_tls_passphrase_fn *passphrase_callback(const struct passphrase *p);
/* If a key could not be loaded because it is encrypted, name the option. */
void passphrase_hint(struct flow_error *err);

#endif
