/* SPDX-License-Identifier: ISC */
#include "certs.h"
#include "digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <flow/tls_verify.h>

/*
 * Certificates in files.
 *
 * First they are found and read, then put into a selector, the one that is
 * valid longest first: if a client can use two of them equally well, the
 * selector takes the one that was added first.  The default is the first in the
 * order of names, whatever its validity is, so that it stays the same when a
 * certificate is renewed.
 */

#define CERTS_FILE_MAX ((size_t)1 << 20)

/* See "certs.h". */
bool
certs_add_directory(struct certs_places *places, const char *path)
{
    if (places->directory_count == CERTS_DIRECTORIES) {
        cli_usage("at most %d times --certs", CERTS_DIRECTORIES);
        return false;
    }
    places->directory[places->directory_count++] = path;
    return true;
}

/* See "certs.h". */
bool
certs_given(const struct certs_places *places)
{
    return places->directory_count + places->pairs.cert_count +
               places->pairs.key_count >
           0;
}

/* See "certs.h". */
const char *
certs_date(int64_t when, char ret[CERTS_DATE])
{
    time_t seconds = (time_t)when;
    struct tm t;

    if (gmtime_r(&seconds, &t) == NULL ||
        strftime(ret, CERTS_DATE, "%Y-%m-%d", &t) == 0)
        snprintf(ret, CERTS_DATE, "?");
    return ret;
}

static void
certs_no_memory(struct certs *c)
{
    cli_complain("cannot load certificates: out of memory");
    c->problems++;
}

/* The pieces in one new string, or NULL. */
static char *
certs_join(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(size);

    if (text != NULL)
        snprintf(text, size, "%s%s%s", a, b, c);
    return text;
}

/* --- finding them --- */

/* Takes both paths over; NULL stands for one without memory. */
static void
certs_add(struct certs *c, char *chain, char *key, bool is_named)
{
    struct certs_item *list = NULL;

    if (chain != NULL && key != NULL)
        list = realloc(c->item, (c->count + 1) * sizeof(*list));
    if (list == NULL) {
        free(chain);
        free(key);
        certs_no_memory(c);
        return;
    }
    c->item = list;
    memset(&list[c->count], 0, sizeof(*list));
    list[c->count].chain = chain;
    list[c->count].key = key;
    list[c->count].is_named = is_named;
    c->count++;
}

/* A symbolic link to nothing is there, too: opening it tells what is wrong. */
static bool
certs_is_there(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0 || errno != ENOENT;
}

/* Add two files that belong together, if they are there.  Takes both paths
 * over. */
static void
certs_add_files(struct certs *c, char *chain, char *key)
{
    bool has_chain = chain != NULL && certs_is_there(chain);
    bool has_key = key != NULL && certs_is_there(key);

    if (chain == NULL || key == NULL || (has_chain && has_key)) {
        certs_add(c, chain, key, false);
        return;
    }
    if (has_chain) {
        cli_complain("%s: its key %s is missing; store the key first and the "
                     "certificate after it",
                     chain, key);
        c->problems++;
    } else if (has_key) {
        cli_complain("%s is not used: its certificate %s is missing", key,
                     chain);
    }
    free(chain);
    free(key);
}

/* Whether a name ends with this and has something before it. */
static bool
certs_ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);

    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* What one name of a directory stands for.  stem: without its last four
 * bytes. */
static void
certs_add_name(struct certs *c, const char *directory, const char *name)
{
    char *path = certs_join(directory, "/", name);
    char *stem;
    struct stat info;

    if (path == NULL) {
        certs_no_memory(c);
        return;
    }
    if (certs_ends_with(name, ".pem") || certs_ends_with(name, ".key")) {
        stem = path;
        stem[strlen(stem) - 4] = '\0';
        /* A key is found with its certificate, if it has one. */
        path = certs_join(stem, ".pem", "");
        if (certs_ends_with(name, ".pem") ||
            (path != NULL && !certs_is_there(path)))
            certs_add_files(c, path, certs_join(stem, ".key", ""));
        else
            free(path);
        free(stem);
        return;
    }
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        certs_add_files(c, certs_join(path, "/fullchain.pem", ""),
                        certs_join(path, "/privkey.pem", ""));
    free(path);
}

/* Hidden files are those of editors and of programs that replace one. */
static int
certs_is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int
certs_compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Whether this is the directory of one certificate of certbot. */
static bool
certs_is_lineage(const char *directory)
{
    char *chain = certs_join(directory, "/fullchain.pem", "");
    char *key = certs_join(directory, "/privkey.pem", "");
    bool is = chain != NULL && key != NULL && certs_is_there(chain) &&
              certs_is_there(key);

    free(chain);
    free(key);
    return is;
}

static void
certs_add_all_of(struct certs *c, const char *directory)
{
    const size_t before = c->count + c->problems;
    struct dirent **name;
    int count = scandir(directory, &name, certs_is_shown, certs_compare_names);

    if (count < 0) {
        cli_complain("--certs %s: %s", directory, strerror(errno));
        c->problems++;
        return;
    }
    if (certs_is_lineage(directory)) {
        cli_complain("--certs %s: this is the directory of one certificate; "
                     "give the one above it",
                     directory);
        c->problems++;
    } else {
        for (int i = 0; i < count; i++)
            certs_add_name(c, directory, name[i]->d_name);
    }
    for (int i = 0; i < count; i++)
        free(name[i]);
    free(name);
    if (c->count + c->problems > before)
        return;
    cli_complain("--certs %s: it has no certificate: store NAME.pem with "
                 "NAME.key, or NAME/fullchain.pem with NAME/privkey.pem",
                 directory);
    c->problems++;
}

static void
certs_find(struct certs *c, const struct certs_places *places)
{
    for (size_t i = 0; i < places->pairs.cert_count; i++)
        certs_add(c, certs_join(places->pairs.cert[i], "", ""),
                  certs_join(places->pairs.key[i], "", ""), true);
    for (size_t i = 0; i < places->directory_count; i++)
        certs_add_all_of(c, places->directory[i]);
}

/* --- reading them --- */

static void
certs_complain_of_file(struct certs *c, const char *path, const char *why)
{
    cli_complain("cannot load %s: %s", path, why);
    c->problems++;
}

/* A whole file, for free(). */
static uint8_t *
certs_read_open(int fd, size_t size, size_t *ret_len)
{
    uint8_t *data = malloc(size + 1);
    size_t len = 0;
    ssize_t n = 1;

    while (data != NULL && n > 0 && len <= size) {
        n = read(fd, data + len, size + 1 - len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            len += (size_t)n;
    }
    if (data == NULL || n < 0 || len > size) {
        int why = data == NULL ? ENOMEM : n < 0 ? errno : EAGAIN;

        if (data != NULL)
            flow_wipe(data, len);
        free(data);
        errno = why;
        return NULL;
    }
    *ret_len = len;
    return data;
}

/* The same; what is wrong is printed. */
static uint8_t *
certs_read(struct certs *c, const char *path, struct stat *ret_info,
           size_t *ret_len)
{
    /* A FIFO must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = NULL;
    uint8_t *data = NULL;

    if (fd < 0 || fstat(fd, ret_info) != 0)
        why = strerror(errno);
    else if (!S_ISREG(ret_info->st_mode))
        why = "it is not a regular file";
    else if (ret_info->st_size > (off_t)CERTS_FILE_MAX)
        why = "the file is too large";
    else
        data = certs_read_open(fd, (size_t)ret_info->st_size, ret_len);
    if (data == NULL)
        certs_complain_of_file(c, path, why != NULL ? why : strerror(errno));
    if (fd >= 0)
        close(fd);
    return data;
}

static void
certs_read_chain(struct certs *c, struct certs_item *item)
{
    struct flow_tls_der chain, leaf;
    struct flow_tls_facts facts;
    struct stat info;
    uint8_t *der;
    size_t len;

    item->pem = certs_read(c, item->chain, &info, &item->pem_len);
    if (item->pem == NULL)
        return;
    if (flow_tls_decode_chain(NULL, item->pem, item->pem_len, &der, &len) !=
        FLOW_OK) {
        certs_complain_of_file(c, item->chain,
                               "it is not a certificate chain in PEM");
    } else {
        chain = (struct flow_tls_der){ der, len };
        item->digest = digest_add(DIGEST_BEGIN, der, len);
        if (flow_tls_next_cert(&chain, &leaf) == FLOW_OK &&
            flow_tls_get_facts(&leaf, &facts) == FLOW_OK) {
            item->not_before = facts.not_before;
            item->not_after = facts.not_after;
            flow_env_free(flow_env_default(), der, len);
            return;
        }
        certs_complain_of_file(c, item->chain,
                               "its first certificate is not understood");
        flow_env_free(flow_env_default(), der, len);
    }
    free(item->pem);
    item->pem = NULL;
}

/* --- putting them into a selector --- */

/* What the reports of the selector are about. */
struct certs_pair_report {
    struct certs *certs;
    const struct certs_item *item; /* NULL: all of them */
};

static void
certs_report(void *user, const struct flow_error *problem)
{
    struct certs_pair_report *r = user;
    struct flow_error told = *problem;
    char what[2 * 4096 + 32];

    if (r->item == NULL)
        snprintf(what, sizeof(what), "cannot use these certificates together");
    else
        snprintf(what, sizeof(what), "cannot load %s with %s", r->item->chain,
                 r->item->key);
    passphrase_hint(&told);
    cli_flow_error(what, &told);
    r->certs->problems++;
}

/* A failure without a report. */
static void
certs_note(struct certs_pair_report *r, enum flow_status st, size_t before,
           const struct flow_error *err)
{
    if (st != FLOW_OK && r->certs->problems == before)
        certs_report(r, err);
}

/* Warn if everybody can read a key.  A group may: that is how a server that is
 * not root is given one. */
static void
certs_check_mode(struct certs *c, const char *path, const struct stat *info)
{
    if ((info->st_mode & S_IROTH) == 0)
        return;
    c->public_keys++;
    c->a_public = path;
}

static enum flow_status
certs_add_entry(struct flow_tls_sni *sni, const struct certs *c, size_t index,
                size_t *ret_entry, struct flow_error *err)
{
    static const char *const cert[] = { "@cert" };
    const char *path = c->item[index].chain;
    /* Two of them, and a name, fit into the detail of an error. */
    char id[29];
    struct flow_tls_sni_entry entry = {
        .id = id,
        .patterns = cert,
        .pattern_count = 1,
        .flags = (index == 0 ? FLOW_TLS_SNI_IS_DEFAULT : 0) |
                 (c->item[index].is_named ? 0 : FLOW_TLS_SNI_ALLOW_EXPIRED),
    };
    int digits = snprintf(id, sizeof(id), "%zu ", index + 1);
    size_t room = sizeof(id) - 1 - (size_t)digits;

    /* The number makes it unique; the end of the path tells most. */
    snprintf(id + digits, room + 1, "%s",
             strlen(path) > room ? path + strlen(path) - room : path);
    return flow_tls_sni_add_entry(sni, &entry, ret_entry, err);
}

static void
certs_load_item(struct certs *c, size_t index, struct flow_tls_sni *sni,
                struct certs_pair_report *report)
{
    struct certs_item *item = &c->item[index];
    const size_t before = c->problems;
    struct flow_error err;
    struct stat info;
    enum flow_status st;
    uint8_t *key;
    size_t len, entry;

    report->item = item;
    key = certs_read(c, item->key, &info, &len);
    if (key == NULL)
        return;
    certs_check_mode(c, item->key, &info);
    st = certs_add_entry(sni, c, index, &entry, &err);
    if (st == FLOW_OK)
        st = flow_tls_sni_add_keypair(sni, entry, item->pem, item->pem_len, key,
                                      len, passphrase_callback(&c->passphrase),
                                      &c->passphrase, &err);
    certs_note(report, st, before, &err);
    flow_wipe(key, len);
    free(key);
}

static int
certs_compare_ends(const void *a, const void *b)
{
    const struct certs_item *const *x = a, *const *y = b;

    if ((*x)->not_after != (*y)->not_after)
        return (*x)->not_after > (*y)->not_after ? -1 : 1;
    return *x < *y ? -1 : 1;
}

static bool
certs_is_stopped(const struct certs *c)
{
    return c->stop != NULL && atomic_load(c->stop);
}

/* An incomplete selector, which will not be used, is frozen for what it reports
 * of the others: it may lack the default, but not every entry. */
static bool
certs_may_freeze_incomplete(struct flow_tls_sni *sni)
{
    struct flow_tls_sni_policy policy;

    if (flow_tls_sni_entry_id(sni, 0) == NULL)
        return false;
    flow_tls_sni_preset(FLOW_TLS_SNI_HAPROXY_STRICT, &policy);
    return flow_tls_sni_set_policy(sni, &policy) == FLOW_OK;
}

static void
certs_fill(struct certs *c, struct flow_tls_sni *sni)
{
    struct certs_pair_report report = { .certs = c };
    struct certs_item **order =
        calloc(c->count + 1, sizeof(struct certs_item *));
    struct flow_error err;
    enum flow_status st;
    size_t before;

    if (order == NULL ||
        flow_tls_sni_set_report(sni, certs_report, &report) != FLOW_OK) {
        free(order);
        certs_no_memory(c);
        return;
    }
    for (size_t i = 0; i < c->count; i++)
        order[i] = &c->item[i];
    qsort(order, c->count, sizeof(struct certs_item *), certs_compare_ends);
    for (size_t i = 0; i < c->count && !certs_is_stopped(c); i++)
        if (order[i]->pem != NULL)
            certs_load_item(c, (size_t)(order[i] - c->item), sni, &report);
    free(order);
    report.item = NULL;
    before = c->problems;
    if (certs_is_stopped(c) ||
        (before > 0 && !certs_may_freeze_incomplete(sni)))
        return;
    /* Nothing is reported once it is frozen. */
    st = flow_tls_sni_freeze(sni, &err);
    if (before == 0)
        certs_note(&report, st, before, &err);
}

/* Without it, what is said of encrypted keys would mislead. */
static bool
certs_read_passphrase(struct certs *c, const struct certs_places *places)
{
    const char *path = places->pairs.passphrase_file;

    if (path == NULL || passphrase_read(path, true, &c->passphrase))
        return true;
    c->problems++;
    return false;
}

/* What is allowed and should be known. */
static void
certs_warn(const struct certs *c)
{
    const int64_t now = (int64_t)time(NULL);
    char date[CERTS_DATE];

    if (c->public_keys > 0)
        cli_complain("warning: every user of this machine can read %s%s; "
                     "forbid it with chmod o-r",
                     c->a_public,
                     c->public_keys > 1 ? " and other private keys" : "");
    for (size_t i = 0; i < c->count; i++) {
        const struct certs_item *item = &c->item[i];

        if (now > item->not_after)
            cli_complain("warning: %s has expired on %s, and clients will "
                         "refuse it",
                         item->chain, certs_date(item->not_after, date));
        else if (now < item->not_before)
            cli_complain("warning: %s is not valid before %s, and clients "
                         "will refuse it until then",
                         item->chain, certs_date(item->not_before, date));
    }
}

static int
certs_check_pairs(const struct certs_places *places)
{
    if (!certs_given(places))
        return cli_usage("TLS needs --cert FILE and --key FILE, or --certs "
                         "DIR");
    if (places->pairs.cert_count != places->pairs.key_count)
        return cli_usage("%zu --cert but %zu --key: each certificate needs "
                         "its key",
                         places->pairs.cert_count, places->pairs.key_count);
    return CLI_OK;
}

/* See "certs.h". */
int
certs_load(const struct certs_places *places, const atomic_bool *stop,
           struct certs *ret, struct flow_tls_sni **ret_sni)
{
    int code = certs_check_pairs(places);
    struct flow_tls_sni *sni;

    memset(ret, 0, sizeof(*ret));
    ret->stop = stop;
    if (code != CLI_OK)
        return code;
    if (flow_tls_sni_new(NULL, &sni, NULL) != FLOW_OK) {
        certs_no_memory(ret);
        return CLI_FAILED;
    }
    certs_find(ret, places);
    for (size_t i = 0; i < ret->count && !certs_is_stopped(ret); i++)
        certs_read_chain(ret, &ret->item[i]);
    if (certs_read_passphrase(ret, places))
        certs_fill(ret, sni);
    flow_wipe(&ret->passphrase, sizeof(ret->passphrase));
    for (size_t i = 0; i < ret->count; i++) {
        free(ret->item[i].pem);
        ret->item[i].pem = NULL;
    }
    if (ret->problems > 0 || certs_is_stopped(ret)) {
        flow_tls_sni_unref(sni);
        return CLI_FAILED;
    }
    certs_warn(ret);
    *ret_sni = sni;
    return CLI_OK;
}

/* See "certs.h". */
void
certs_fini(struct certs *certs)
{
    for (size_t i = 0; i < certs->count; i++) {
        free(certs->item[i].chain);
        free(certs->item[i].key);
        free(certs->item[i].pem);
    }
    free(certs->item);
    memset(certs, 0, sizeof(*certs));
}
