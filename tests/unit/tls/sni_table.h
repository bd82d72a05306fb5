/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_SNI_TABLE_H
#define FLOW_TESTS_UNIT_TLS_SNI_TABLE_H

#include <flow/tls_sni.h>

#include "tests/unit/tls/sni_model.h"

/* The words of sni_cases.txt, and selectors and clients made of what they say.
 */

/* A client in the form that a selector takes; its lists point into it. */
struct table_client {
    struct flow_tls_sni_client client;
    uint8_t numbers[5][2 * MODEL_LIST];
    uint8_t alpn[MODEL_PATTERNS * 65];
};

/* "policy", "entry" and "cert" lines change the model. */
void table_read(struct model *m, char *line);

/* The part of an "ask" line before "->". */
void table_read_client(struct model_client *c, char *text);

/* A client of today, which sends a name, or none. */
void table_modern(struct model_client *c, const char *name);

void table_make_client(const struct model_client *c, struct table_client *ret);

/* Make a selector of the model; it is not frozen. */
enum flow_status table_make(const struct flow_env *env, const struct model *m,
                            struct flow_tls_sni **ret_sni,
                            struct flow_error *err);

/* TLS 1.2 and 1.3, all suites, at a time at which expired ones have expired. */
void table_terms(struct flow_tls_sni_terms *ret);

/* "main/0 exact www.example.org", "reject 112" or "drop". */
void table_write(const struct model *m, const struct model_answer *a, char *buf,
                 size_t cap);

/* The same for a decision. */
void table_write_decision(const struct model *m,
                          const struct flow_tls_sni_decision *d, char *buf,
                          size_t cap);

#endif
