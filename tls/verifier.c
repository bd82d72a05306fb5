/* SPDX-License-Identifier: ISC */
#include "tls/verifier.h"

#include <string.h>

#include <flow/tls.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "tls/engine.h"
#include "tls/pem.h"
#include "tls/verdict.h"

/*
 * A verifier: what is trusted, what is revoked, and the limits.
 *
 * Invariants: each certificate and each list has a copy of its DER, into which
 * its facts point.  A setter that fails leaves everything as it was.  After
 * frozen is set nothing changes but refs, so that any thread may verify without
 * a lock.
 */

#define VERIFIER_RSA_MIN  2048u
#define VERIFIER_EC_MIN   256u
#define VERIFIER_HASH_MIN 256u
#define VERIFIER_RSA_MAX  8192u

/* Room in a list at first; it doubles. */
#define VERIFIER_ROOM 4

/* A large revocation list; a system's trust store is about 220 KB today. */
#define VERIFIER_FILE_BYTES_MAX (16u << 20)

struct flow_tls_verifier;

typedef enum flow_status
verifier_decide_fn(struct flow_tls_verifier *v,
                   const struct flow__path_question *question,
                   struct flow_tls_verdict *ret_verdict);

/* Room in the lists of the policy, in items. */
struct flow_tls_verifier {
    const struct flow_env *env;
    /* verifier_decide().  Handshakes call it by this pointer, so that a static
     * program that makes no verifier does without the search for paths. */
    verifier_decide_fn *decide;
    uint32_t refs;
    uint8_t frozen;
    uint32_t serial;
    struct flow__path_policy policy;
    size_t anchor_room;
    size_t crl_room;
    size_t pin_room;
    flow_tls_verify_fn *fn;
    void *user;
};

static const struct flow__path_crypto verifier_crypto = {
    flow__engine_check_signature,
    flow__engine_fingerprint,
};

/* How many were made (atomic). */
static uint32_t verifier_serials;

static enum flow_status
verifier_refuse(struct flow_error *err, enum flow_status status,
                const char *text)
{
    return flow_error_set(err, status, "tls config", FLOW_DOMAIN_NONE, 0, text);
}

static bool
verifier_is_frozen(const struct flow_tls_verifier *v)
{
    return flow__load_acquire(&v->frozen) != 0;
}

/* See tls/verifier.h. */
uint32_t
flow__verifier_serial(const struct flow_tls_verifier *v)
{
    return v->serial;
}

/* See tls/verifier.h. */
bool
flow__verifier_may_revoke(const struct flow_tls_verifier *v)
{
    return v->fn != NULL || v->policy.crl_count > 0;
}

/* See tls/verifier.h. */
void
flow__verifier_freeze(struct flow_tls_verifier *v)
{
    flow__store_release(&v->frozen, 1);
}

/* See tls/verifier.h. */
const struct flow__cert *
flow__verifier_anchors(const struct flow_tls_verifier *v, size_t *ret_count)
{
    *ret_count = v->policy.anchor_count;
    return v->policy.anchors;
}

static enum flow_status
verifier_refuse_frozen(struct flow_error *err)
{
    return verifier_refuse(err, FLOW_E_BUSY, "the verifier is in use");
}

static enum flow_status
verifier_decide(struct flow_tls_verifier *v,
                const struct flow__path_question *question,
                struct flow_tls_verdict *ret)
{
    struct flow_tls_verdict verdict;
    enum flow_status st =
        flow__path_verify(v->env, &v->policy, question, &verdict);

    if (st == FLOW_OK && v->fn != NULL && v->fn(v->user, &verdict) != FLOW_OK) {
        flow__verdict_set(&verdict, 1u << FLOW_TLS_CHECK_CALLBACK);
        st = FLOW_E_AUTH;
    }
    if (st != FLOW_E_NOMEM)
        *ret = verdict;
    return st;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_new(const struct flow_env *env,
                      struct flow_tls_verifier **ret_verifier,
                      struct flow_error *ret_err)
{
    struct flow_tls_verifier *v;
    enum flow_status st = flow__engine_init(ret_err);

    if (st != FLOW_OK)
        return st;
    if (env == NULL)
        env = flow_env_default();
    v = flow_env_alloc(env, sizeof(*v));
    if (v == NULL)
        return verifier_refuse(ret_err, FLOW_E_NOMEM, "no memory");
    v->env = env;
    v->refs = 1;
    v->decide = verifier_decide;
    v->serial = flow__add(&verifier_serials, 1) + 1;
    v->policy.crypto = &verifier_crypto;
    v->policy.rsa_min = VERIFIER_RSA_MIN;
    v->policy.ec_min = VERIFIER_EC_MIN;
    v->policy.hash_min = VERIFIER_HASH_MIN;
    *ret_verifier = v;
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
struct flow_tls_verifier *
flow_tls_verifier_ref(struct flow_tls_verifier *v)
{
    (void)flow__add(&v->refs, 1);
    return v;
}

static void
verifier_free_bytes(const struct flow_tls_verifier *v, struct flow__span bytes)
{
    flow_env_free(v->env, (void *)(uintptr_t)bytes.base, bytes.len);
}

/* Drop what was added after these counts were reached. */
static void
verifier_cut(struct flow_tls_verifier *v, size_t anchors, size_t crls)
{
    struct flow__path_policy *p = &v->policy;

    while (p->anchor_count > anchors)
        verifier_free_bytes(v, p->anchors[--p->anchor_count].der);
    while (p->crl_count > crls)
        verifier_free_bytes(v, p->crls[--p->crl_count].der);
}

/* See <flow/tls_verify.h>. */
void
flow_tls_verifier_unref(struct flow_tls_verifier *v)
{
    struct flow__path_policy *p;

    if (v == NULL || flow__sub(&v->refs, 1) != 1)
        return;
    p = &v->policy;
    verifier_cut(v, 0, 0);
    flow_env_free(v->env, p->anchors, v->anchor_room * sizeof(*p->anchors));
    flow_env_free(v->env, p->crls, v->crl_room * sizeof(*p->crls));
    flow_env_free(v->env, p->pins, v->pin_room * sizeof(*p->pins));
    flow_env_free(v->env, v, sizeof(*v));
}

/* A list of items with room for one more than count; NULL without memory, and
 * the list stays as it was. */
static void *
verifier_grow(struct flow_tls_verifier *v, void *list, size_t count,
              size_t item, size_t *room)
{
    size_t more = *room == 0 ? VERIFIER_ROOM : *room * 2;
    void *grown;

    if (count < *room)
        return list;
    grown = flow_env_alloc(v->env, more * item);
    if (grown == NULL)
        return NULL;
    if (count > 0)
        memcpy(grown, list, count * item);
    flow_env_free(v->env, list, *room * item);
    *room = more;
    return grown;
}

static struct flow__span
verifier_copy(struct flow_tls_verifier *v, struct flow__span der)
{
    struct flow__span copy = { flow_env_alloc(v->env, der.len), der.len };

    if (copy.base != NULL)
        memcpy((void *)(uintptr_t)copy.base, der.base, der.len);
    return copy;
}

/* Whether a certificate is well formed, with a key or a signature of a kind
 * that is not supported. */
static bool
verifier_is_unsupported(struct flow__span der)
{
    struct flow__cert cert;

    return flow__cert_read(der, &cert) &&
           (cert.key == FLOW__KEY_OTHER ||
            cert.signature.kind == FLOW__SIGN_UNKNOWN);
}

typedef enum flow_status verifier_add_fn(struct flow_tls_verifier *v,
                                         struct flow__span der);

static enum flow_status
verifier_add_anchor(struct flow_tls_verifier *v, struct flow__span der)
{
    struct flow__path_policy *p = &v->policy;
    struct flow__cert *anchors = verifier_grow(
        v, p->anchors, p->anchor_count, sizeof(*p->anchors), &v->anchor_room);
    enum flow_status st;
    struct flow__span copy;

    if (anchors == NULL)
        return FLOW_E_NOMEM;
    p->anchors = anchors;
    st = flow__engine_check_certificate(der);
    if (st == FLOW_E_INVAL && verifier_is_unsupported(der))
        return FLOW_E_NOTSUP;
    if (st != FLOW_OK)
        return st;
    copy = verifier_copy(v, der);
    if (copy.base == NULL)
        return FLOW_E_NOMEM;
    if (!flow__cert_read(copy, &anchors[p->anchor_count])) {
        verifier_free_bytes(v, copy);
        return FLOW_E_INVAL;
    }
    p->anchor_count++;
    return FLOW_OK;
}

static enum flow_status
verifier_add_list(struct flow_tls_verifier *v, struct flow__span der)
{
    struct flow__path_policy *p = &v->policy;
    struct flow__crl *crls =
        verifier_grow(v, p->crls, p->crl_count, sizeof(*p->crls), &v->crl_room);
    enum flow__crl_result result;
    struct flow__span copy;

    if (crls == NULL)
        return FLOW_E_NOMEM;
    p->crls = crls;
    if (der.len == 0)
        return FLOW_E_INVAL;
    copy = verifier_copy(v, der);
    if (copy.base == NULL)
        return FLOW_E_NOMEM;
    result = flow__crl_read(copy, &crls[p->crl_count]);
    if (result != FLOW__CRL_READ) {
        verifier_free_bytes(v, copy);
        return result == FLOW__CRL_UNSUPPORTED ? FLOW_E_NOTSUP : FLOW_E_INVAL;
    }
    p->crl_count++;
    return FLOW_OK;
}

/* Add each block of PEM, or DER.  An item for which add() fails with something
 * other than FLOW_E_NOMEM is left out if not strict.  *ret_bad: the number of
 * the item that failed. */
static enum flow_status
verifier_add_each(struct flow_tls_verifier *v, struct flow__span data,
                  const char *label, verifier_add_fn *add, bool strict,
                  size_t *ret_bad)
{
    struct flow__span der;
    enum flow_status st;
    size_t number = 0, size;

    *ret_bad = 0;
    if (!flow__pem_is_text(data)) {
        st = add(v, data);
        *ret_bad = st != FLOW_OK ? 1 : 0;
        return st;
    }
    while ((st = flow__pem_next(v->env, &data, label, &der, &size)) !=
           FLOW_EOF) {
        number++;
        if (st == FLOW_OK) {
            st = add(v, der);
            flow_env_free(v->env, (void *)(uintptr_t)der.base, size);
        }
        if (st == FLOW_E_NOMEM || (st != FLOW_OK && strict)) {
            *ret_bad = number;
            return st;
        }
    }
    return FLOW_OK;
}

/* See tls/verifier.h. */
enum flow_status
flow__verifier_add_trust(struct flow_tls_verifier *v, struct flow__span data,
                         bool strict, size_t *ret_bad, size_t *ret_count,
                         struct flow_error *err)
{
    const size_t before = v->policy.anchor_count;
    enum flow_status st;

    *ret_bad = 0;
    *ret_count = 0;
    if (verifier_is_frozen(v))
        return verifier_refuse_frozen(err);
    st = verifier_add_each(v, data, "CERTIFICATE", verifier_add_anchor, strict,
                           ret_bad);
    if (st == FLOW_OK && v->policy.anchor_count == before)
        st = FLOW_E_INVAL;
    *ret_count = v->policy.anchor_count - before;
    if (st == FLOW_OK)
        return st;
    verifier_cut(v, before, v->policy.crl_count);
    if (st == FLOW_E_NOTSUP)
        return verifier_refuse(err, FLOW_E_INVAL,
                               "a certificate has a key or a signature of a "
                               "kind that is not supported");
    return verifier_refuse(err, st,
                           st == FLOW_E_NOMEM ? "no memory"
                           : *ret_bad > 1
                               ? "one of the certificates is not understood"
                               : "no certificate is understood");
}

/* See tls/verifier.h. */
void
flow__verifier_set_detail(struct flow_error *err, const char *name,
                          size_t number)
{
    static const char what[] = "certificate ";
    char text[FLOW_ERROR_DETAIL];
    char digits[24];
    size_t len = 0, n = sizeof(digits);

    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (name != NULL) {
        len = strlen(name);
        if (len > sizeof(text) - sizeof(what) - sizeof(digits) - 2)
            len = sizeof(text) - sizeof(what) - sizeof(digits) - 2;
        memcpy(text, name, len);
        text[len++] = ',';
        text[len++] = ' ';
    }
    memcpy(text + len, what, sizeof(what) - 1);
    len += sizeof(what) - 1;
    memcpy(text + len, digits + n, sizeof(digits) - n);
    flow_error_set_detail(err, text);
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_add_trust(struct flow_tls_verifier *v, const void *data,
                            size_t len, struct flow_error *ret_err)
{
    const struct flow__span bytes = { data, len };
    size_t bad, count;
    enum flow_status st =
        flow__verifier_add_trust(v, bytes, true, &bad, &count, ret_err);

    if (bad > 0 && ret_err != NULL)
        flow__verifier_set_detail(ret_err, NULL, bad);
    return st;
}

static enum flow_status
verifier_read_file(const struct flow_tls_verifier *v, const char *path,
                   struct flow__span *ret, struct flow_error *err)
{
    const char *text = "the file cannot be read";
    int32_t code = 0;
    uint8_t *data;
    enum flow_status st = flow__plat_read_file(
        v->env, path, VERIFIER_FILE_BYTES_MAX, &data, &ret->len, &code, &text);

    if (st == FLOW_OK) {
        ret->base = data;
        return st;
    }
    (void)flow_error_set(err, st, "tls config",
                         code != 0 ? FLOW_DOMAIN_ERRNO : FLOW_DOMAIN_NONE, code,
                         st == FLOW_E_INVAL ? "the file is too large" : text);
    flow_error_set_detail(err, path);
    return st;
}

/* flow__plat_read_file() puts a NUL after the bytes. */
static void
verifier_free_file(const struct flow_tls_verifier *v, struct flow__span file)
{
    flow_env_free(v->env, (void *)(uintptr_t)file.base, file.len + 1);
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_add_trust_file(struct flow_tls_verifier *v, const char *path,
                                 struct flow_error *ret_err)
{
    struct flow__span file;
    size_t bad, count;
    enum flow_status st = verifier_read_file(v, path, &file, ret_err);

    if (st != FLOW_OK)
        return st;
    st = flow__verifier_add_trust(v, file, true, &bad, &count, ret_err);
    if (st != FLOW_OK && bad > 0)
        flow__verifier_set_detail(ret_err, path, bad);
    else if (st != FLOW_OK)
        flow_error_set_detail(ret_err, path);
    verifier_free_file(v, file);
    return st;
}

/* See <flow/tls_verify.h>.  The first of the stores that can be read. */
enum flow_status
flow_tls_verifier_add_system_trust(struct flow_tls_verifier *v,
                                   struct flow_error *ret_err)
{
    const char *const *path;

    if (verifier_is_frozen(v))
        return verifier_refuse_frozen(ret_err);
    for (path = flow__plat_trust_files(); *path != NULL; path++) {
        struct flow_error ignored;
        struct flow__span file;
        size_t bad, count = 0;
        enum flow_status st = verifier_read_file(v, *path, &file, &ignored);

        if (st == FLOW_E_NOMEM)
            return verifier_refuse(ret_err, st,
                                   "no memory for the trust store");
        if (st != FLOW_OK)
            continue;
        st = flow__verifier_add_trust(v, file, false, &bad, &count, ret_err);
        verifier_free_file(v, file);
        if (st != FLOW_OK || count > 0)
            return st;
    }
    (void)verifier_refuse(ret_err, FLOW_E_SYS,
                          "this system has no trust store that can be read");
    if (ret_err != NULL)
        ret_err->hint = "install ca-certificates, or name the certificates to "
                        "trust with flow_tls_config_add_trust_file()";
    return FLOW_E_SYS;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_add_crl(struct flow_tls_verifier *v, const void *data,
                          size_t len, struct flow_error *ret_err)
{
    const struct flow__span bytes = { data, len };
    const size_t before = v->policy.crl_count;
    enum flow_status st;
    size_t bad;

    if (verifier_is_frozen(v))
        return verifier_refuse_frozen(ret_err);
    st = verifier_add_each(v, bytes, "X509 CRL", verifier_add_list, true, &bad);
    if (st == FLOW_OK && v->policy.crl_count == before)
        st = FLOW_E_INVAL;
    if (st == FLOW_OK)
        return st;
    verifier_cut(v, v->policy.anchor_count, before);
    return verifier_refuse(
        ret_err, st,
        st == FLOW_E_NOMEM ? "no memory"
        : st == FLOW_E_NOTSUP
            ? "a revocation list has a critical extension, which is not "
              "supported"
            : "no revocation list is understood");
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_add_crl_file(struct flow_tls_verifier *v, const char *path,
                               struct flow_error *ret_err)
{
    struct flow__span file;
    enum flow_status st = verifier_read_file(v, path, &file, ret_err);

    if (st != FLOW_OK)
        return st;
    st = flow_tls_verifier_add_crl(v, file.base, file.len, ret_err);
    if (st != FLOW_OK)
        flow_error_set_detail(ret_err, path);
    verifier_free_file(v, file);
    return st;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_require_crl(struct flow_tls_verifier *v, bool require)
{
    if (verifier_is_frozen(v))
        return FLOW_E_BUSY;
    v->policy.require_crl = require;
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_add_pin(struct flow_tls_verifier *v, const uint8_t sha256[32])
{
    struct flow__path_policy *p = &v->policy;
    uint8_t(*pins)[FLOW__PIN_LEN];

    if (verifier_is_frozen(v))
        return FLOW_E_BUSY;
    pins =
        verifier_grow(v, p->pins, p->pin_count, sizeof(*p->pins), &v->pin_room);
    if (pins == NULL)
        return FLOW_E_NOMEM;
    p->pins = pins;
    memcpy(pins[p->pin_count++], sha256, FLOW__PIN_LEN);
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_set_minimum(struct flow_tls_verifier *v, unsigned rsa,
                              unsigned ec, unsigned hash)
{
    if (verifier_is_frozen(v))
        return FLOW_E_BUSY;
    if (rsa < VERIFIER_RSA_MIN || rsa > VERIFIER_RSA_MAX ||
        (ec != 256 && ec != 384 && ec != 521) ||
        (hash != 256 && hash != 384 && hash != 512))
        return FLOW_E_INVAL;
    v->policy.rsa_min = rsa;
    v->policy.ec_min = ec;
    v->policy.hash_min = hash;
    return FLOW_OK;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verifier_set_callback(struct flow_tls_verifier *v,
                               flow_tls_verify_fn *fn, void *user)
{
    if (verifier_is_frozen(v))
        return FLOW_E_BUSY;
    v->fn = fn;
    v->user = user;
    return FLOW_OK;
}

static void
verifier_set_time(const struct flow_tls_verifier *v,
                  struct flow__path_question *question, int64_t time)
{
    question->has_time = true;
    question->time = time;
    if (time != FLOW_TLS_TIME_NOW)
        return;
    question->time = v->env->wall(v->env->ctx);
    question->has_time = question->time != -1;
}

/* See tls/verifier.h. */
enum flow_status
flow__verifier_run(struct flow_tls_verifier *v, const struct flow__span *certs,
                   size_t count, const struct flow__name *name, uint8_t purpose,
                   struct flow_tls_verdict *ret_verdict)
{
    struct flow__path_question question = {
        .certs = certs, .cert_count = count, .name = name, .purpose = purpose
    };

    verifier_set_time(v, &question, FLOW_TLS_TIME_NOW);
    return v->decide(v, &question, ret_verdict);
}

/* Whether the engine can read a certificate.  It need not be able to read one
 * with a key or a signature of a kind that is not supported: no path that is
 * accepted has it. */
static enum flow_status
verifier_check_certificate(struct flow__span der)
{
    enum flow_status st = flow__engine_check_certificate(der);

    return st == FLOW_E_INVAL && verifier_is_unsupported(der) ? FLOW_OK : st;
}

/* Divide a chain; false: one is not well formed, or not for the engine, which
 * *ret_st says unless it is FLOW_E_NOMEM.  One more than are allowed suffices
 * to refuse them. */
static bool
verifier_divide(struct flow__span chain, struct flow__span *certs,
                size_t *ret_count, enum flow_status *ret_st)
{
    *ret_st = FLOW_OK;
    for (*ret_count = 0; chain.len > 0 && *ret_count <= FLOW__PATH_CERTS;) {
        struct flow__span *cert = &certs[*ret_count];

        if (!flow__der_take_whole(&chain, FLOW__DER_SEQUENCE, cert))
            *ret_st = FLOW_E_INVAL;
        else
            *ret_st = verifier_check_certificate(*cert);
        if (*ret_st != FLOW_OK)
            return false;
        ++*ret_count;
    }
    return true;
}

/* See <flow/tls_verify.h>. */
enum flow_status
flow_tls_verify(struct flow_tls_verifier *v,
                const struct flow_tls_verify_input *input,
                struct flow_tls_verdict *ret_verdict)
{
    static const uint8_t purposes[] = {
        [FLOW_TLS_PURPOSE_SERVER] = FLOW__PURPOSE_SERVER,
        [FLOW_TLS_PURPOSE_CLIENT] = FLOW__PURPOSE_CLIENT,
    };
    const struct flow__span chain = { input->chain, input->chain_len };
    struct flow__span certs[FLOW__PATH_CERTS + 1];
    struct flow__path_question question = { .certs = certs };
    struct flow__name name;
    enum flow_status st;

    if ((size_t)input->purpose >= sizeof(purposes) ||
        (input->name != NULL &&
         flow__name_parse(input->name, strlen(input->name), &name) ==
             FLOW__NAME_INVALID))
        return FLOW_E_INVAL;
    flow__verifier_freeze(v);
    question.name = input->name != NULL ? &name : NULL;
    question.purpose = purposes[input->purpose];
    verifier_set_time(v, &question, input->time);
    if (verifier_divide(chain, certs, &question.cert_count, &st))
        return verifier_decide(v, &question, ret_verdict);
    if (st == FLOW_E_NOMEM)
        return st;
    memset(ret_verdict, 0, sizeof(*ret_verdict));
    flow__verdict_set(ret_verdict, 1u << FLOW_TLS_CHECK_MALFORMED);
    ret_verdict->depth = (unsigned)question.cert_count;
    return FLOW_E_AUTH;
}
