/* SPDX-License-Identifier: ISC */
#include "reload.h"
#include "digest.h"
#include "keylog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/*
 * Reloads.
 *
 * The thread sleeps in sigwait(3), so there is no signal handler, and a SIGHUP
 * that arrives during a reload leads to one more after it.  It builds a whole
 * configuration before it replaces the one in force; if anything is wrong with
 * it, nothing is replaced.  To end, it is woken by the same signal with
 * is_stopping set.
 *
 * After reload_start() only the thread uses certs.
 */

struct reload {
    const struct certs_places *places;
    const struct reload_program *program;
    struct flow_tls_holder *holder;
    struct certs certs; /* what is in force was made of */
    sigset_t hangup;
    bool is_ignored; /* SIGHUP, as nohup(1) sets it */
    bool has_thread;
    pthread_t thread;
    atomic_bool is_stopping;
};

/* --- making a configuration --- */

static int
reload_complete(const struct reload *r, struct flow_tls_config *config,
                struct flow_tls_sni *sni)
{
    struct flow_error err;
    int code;

    if (flow_tls_config_set_sni(config, sni, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        return CLI_FAILED;
    }
    code = clients_set_up(&r->places->clients, config);
    if (code == CLI_OK)
        code = keylog_attach(config);
    if (code == CLI_OK)
        code = r->program->complete(r->program->user, config);
    if (code == CLI_OK && flow_tls_config_freeze(config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        code = CLI_FAILED;
    }
    return code;
}

/* To be called before the file is loaded: if it changes meanwhile, the next
 * reload reports the change. */
static uint64_t
reload_digest_clients(const struct reload *r)
{
    const char *ca = r->places->clients.ca;

    return ca != NULL ? digest_file(ca) : 0;
}

/* An exit code; ret_certs has to be given to certs_fini() in any case. */
static int
reload_build(struct reload *r, struct certs *ret_certs,
             struct flow_tls_config **ret_config)
{
    struct flow_tls_config *config;
    struct flow_tls_sni *sni;
    struct flow_error err;
    int code = certs_load(r->places, &r->is_stopping, ret_certs, &sni);

    if (code != CLI_OK)
        return code;
    if (flow_tls_config_new_server(NULL, &config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        flow_tls_sni_unref(sni);
        ret_certs->problems++;
        return CLI_FAILED;
    }
    ret_certs->clients_digest = reload_digest_clients(r);
    code = reload_complete(r, config, sni);
    flow_tls_sni_unref(sni);
    if (code == CLI_OK)
        *ret_config = config;
    else
        flow_tls_config_unref(config);
    ret_certs->problems += code != CLI_OK;
    return code;
}

/* --- what has changed --- */

struct reload_changes {
    size_t added;
    size_t removed;
    size_t renewed;
    size_t unchanged;
};

static int
reload_compare_paths(const void *a, const void *b)
{
    const struct certs_item *const *x = a, *const *y = b;

    return strcmp((*x)->chain, (*y)->chain);
}

/* In the order of their paths; NULL: no memory. */
static const struct certs_item **
reload_sort(const struct certs *c)
{
    const struct certs_item **list =
        calloc(c->count + 1, sizeof(const struct certs_item *));

    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        list[i] = &c->item[i];
    qsort(list, c->count, sizeof(const struct certs_item *),
          reload_compare_paths);
    return list;
}

/* One path: what it was, what it is; either may be NULL. */
static void
reload_tell(const struct certs_item *was, const struct certs_item *is,
            struct reload_changes *changes)
{
    char before[CERTS_DATE], now[CERTS_DATE];

    if (is == NULL) {
        changes->removed++;
        cli_complain("removed %s, valid until %s", was->chain,
                     certs_date(was->not_after, before));
    } else if (was == NULL) {
        changes->added++;
        cli_complain("added %s, valid until %s", is->chain,
                     certs_date(is->not_after, now));
    } else if (was->digest != is->digest) {
        changes->renewed++;
        cli_complain("renewed %s, valid until %s, before until %s", is->chain,
                     certs_date(is->not_after, now),
                     certs_date(was->not_after, before));
    } else {
        changes->unchanged++;
    }
}

static void
reload_tell_clients(const struct reload *r, const struct certs *is)
{
    if (r->certs.clients_digest != is->clients_digest)
        cli_complain("the authorities of clients have changed: %s",
                     r->places->clients.ca);
}

static struct reload_changes
reload_compare(const struct certs *was, const struct certs *is)
{
    const struct certs_item **a = reload_sort(was), **b = reload_sort(is);
    struct reload_changes changes = { 0 };
    size_t i = 0, j = 0;

    while (a != NULL && b != NULL && (i < was->count || j < is->count)) {
        int order = i == was->count  ? 1
                    : j == is->count ? -1
                                     : strcmp(a[i]->chain, b[j]->chain);

        reload_tell(order <= 0 ? a[i] : NULL, order >= 0 ? b[j] : NULL,
                    &changes);
        i += order <= 0;
        j += order >= 0;
    }
    free(a);
    free(b);
    return changes;
}

/* --- the thread --- */

/* Both the new configuration and what it was made of are taken over. */
static void
reload_replace(struct reload *r, struct flow_tls_config *config,
               struct certs *certs)
{
    struct reload_changes changes = reload_compare(&r->certs, certs);
    struct flow_error err;

    if (flow_tls_holder_set(r->holder, config, &err) != FLOW_OK) {
        cli_flow_error("cannot replace the certificates", &err);
        certs_fini(certs);
    } else {
        reload_tell_clients(r, certs);
        certs_fini(&r->certs);
        r->certs = *certs;
        if (r->program->in_force != NULL)
            r->program->in_force(r->program->user, config);
        cli_complain("certificates loaded again: %zu added, %zu removed, %zu "
                     "renewed, %zu unchanged",
                     changes.added, changes.removed, changes.renewed,
                     changes.unchanged);
    }
    flow_tls_config_unref(config);
}

static void
reload_once(struct reload *r)
{
    struct flow_tls_config *config;
    struct certs certs;

    if (reload_build(r, &certs, &config) == CLI_OK) {
        reload_replace(r, config, &certs);
        return;
    }
    if (!atomic_load(&r->is_stopping))
        cli_complain("certificates not loaded again, because of %zu problem%s: "
                     "those from before stay in force",
                     certs.problems, certs.problems == 1 ? "" : "s");
    certs_fini(&certs);
}

static void *
reload_main(void *arg)
{
    struct reload *r = arg;
    int number;

    while (sigwait(&r->hangup, &number) == 0 && !atomic_load(&r->is_stopping))
        reload_once(r);
    return NULL;
}

/* --- its life --- */

static bool
reload_is_ignored(void)
{
    struct sigaction action;

    return sigaction(SIGHUP, NULL, &action) == 0 &&
           action.sa_handler == SIG_IGN;
}

/* See "reload.h". */
int
reload_new(const struct certs_places *places,
           const struct reload_program *program, struct reload **ret)
{
    struct reload *r = calloc(1, sizeof(*r));
    struct flow_tls_config *config;
    struct flow_error err;
    int code;

    if (r == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    r->places = places;
    r->program = program;
    r->is_ignored = reload_is_ignored();
    sigemptyset(&r->hangup);
    sigaddset(&r->hangup, SIGHUP);
    if (!r->is_ignored)
        pthread_sigmask(SIG_BLOCK, &r->hangup, NULL);
    code = reload_build(r, &r->certs, &config);
    if (code == CLI_OK) {
        if (flow_tls_holder_new(NULL, config, &r->holder, &err) != FLOW_OK) {
            cli_flow_error("cannot set up TLS", &err);
            code = CLI_FAILED;
        } else if (program->in_force != NULL) {
            program->in_force(program->user, config);
        }
        flow_tls_config_unref(config);
    }
    if (code == CLI_OK)
        *ret = r;
    else
        reload_free(r);
    return code;
}

/* See "reload.h". */
struct flow_tls_holder *
reload_holder(const struct reload *r)
{
    return r->holder;
}

/* See "reload.h". */
int
reload_start(struct reload *r)
{
    sigset_t all, before;
    int code;

    if (r->is_ignored)
        return CLI_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    code = pthread_create(&r->thread, NULL, reload_main, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    r->has_thread = code == 0;
    if (code == 0)
        return CLI_OK;
    cli_complain("cannot start a thread for SIGHUP: %s", strerror(code));
    return CLI_FAILED;
}

/* See "reload.h". */
void
reload_free(struct reload *r)
{
    if (r == NULL)
        return;
    if (r->has_thread) {
        atomic_store(&r->is_stopping, true);
        pthread_kill(r->thread, SIGHUP);
        pthread_join(r->thread, NULL);
    }
    certs_fini(&r->certs);
    flow_tls_holder_unref(r->holder);
    free(r);
}
