/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_CERTS_H
#define EXAMPLES_COMMON_CERTS_H

#include <stdatomic.h>

#include <flow/tls_sni.h>

#include "cli.h"
#include "passphrase.h"

/*
 * The certificates of a server: pairs of files that were named, and those in
 * directories, as one selector.  They can be loaded any number of times.
 */

#define CERTS_DIRECTORIES 16

/* Where certificates are; pairs.passphrase_file is for the keys in directories,
 * too. */
struct certs_places {
    struct cli_keypairs pairs;
    const char *directory[CERTS_DIRECTORIES];
    size_t directory_count;
    struct clients clients; /* and those of the authorities of clients */
};

/* --certs DIR; it has printed the reason if it returns false. */
bool certs_add_directory(struct certs_places *places, const char *path);
bool certs_given(const struct certs_places *places);

/* A certificate that was found. */
struct certs_item {
    char *chain; /* paths */
    char *key;
    bool is_named;      /* by --cert, not found in a directory */
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
    uint64_t digest; /* of all certificates in the file */
    uint8_t *pem;    /* content of the file, while it is loaded */
    size_t pem_len;
};

struct certs {
    struct certs_item
        *item; /* in the order of their paths, those named first */
    size_t count;
    size_t problems;              /* each of which has been printed */
    size_t public_keys;           /* that every user of the machine can read */
    const char *a_public;         /* the path of one of them */
    uint64_t clients_digest;      /* of the authorities of clients; 0: none */
    struct passphrase passphrase; /* while keys are loaded */
    const atomic_bool *stop; /* give up as soon as it is set; may be NULL */
};

/*
 * Find the certificates and load them into a new selector, which is the
 * caller's.  An exit code; *ret has to be given to certs_fini() in any case.
 * Every problem is printed, not only the first, and any of them is a failure.
 */
int certs_load(const struct certs_places *places, const atomic_bool *stop,
               struct certs *ret, struct flow_tls_sni **ret_sni);
void certs_fini(struct certs *certs);

/* "2027-01-31", of seconds since 1970. */
#define CERTS_DATE 32
const char *certs_date(int64_t when, char ret[CERTS_DATE]);

#endif
