/* SPDX-License-Identifier: ISC */
#ifndef TEST_VERIFY_MODEL_H
#define TEST_VERIFY_MODEL_H

#include "scene.h"

/*
 * RFC 5280 6 and RFC 9525 over descriptions of certificates: every path is
 * tried, and no certificate is parsed.  It shares no code with the library.
 */

#define MODEL_MAX 9

struct model {
    struct scene_cert trust[MODEL_MAX];
    size_t trust_count;
    struct scene_cert chain[MODEL_MAX]; /* the leaf first */
    size_t chain_count;
    const char *name;
    enum flow_tls_purpose purpose;
};

/* Whether one of the paths is valid. */
bool model_accepts(const struct model *m);

#endif
