/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/cli.h"

static const struct {
    const char *suffix;
    const char *type;
} content_types[] = {
    { "html", "text/html; charset=utf-8" },
    { "htm", "text/html; charset=utf-8" },
    { "txt", "text/plain; charset=utf-8" },
    { "md", "text/markdown; charset=utf-8" },
    { "css", "text/css; charset=utf-8" },
    { "js", "text/javascript; charset=utf-8" },
    { "json", "application/json" },
    { "xml", "application/xml" },
    { "pdf", "application/pdf" },
    { "wasm", "application/wasm" },
    { "gz", "application/gzip" },
    { "zip", "application/zip" },
    { "tar", "application/x-tar" },
    { "svg", "image/svg+xml" },
    { "png", "image/png" },
    { "jpg", "image/jpeg" },
    { "jpeg", "image/jpeg" },
    { "gif", "image/gif" },
    { "webp", "image/webp" },
    { "ico", "image/vnd.microsoft.icon" },
    { "woff2", "font/woff2" },
    { "mp4", "video/mp4" },
    { "webm", "video/webm" },
};

static const char *
answer_content_type(const char *path)
{
    const char *dot = strrchr(path, '.');
    size_t i;

    if (dot != NULL)
        for (i = 0; i < sizeof(content_types) / sizeof(content_types[0]); i++)
            if (strcasecmp(dot + 1, content_types[i].suffix) == 0)
                return content_types[i].type;
    return "application/octet-stream";
}

/* See "site.h". */
bool
host_normalise(const char *text, size_t len, char *ret, size_t cap)
{
    size_t i;

    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len >= cap || text[0] == '.')
        return false;
    for (i = 0; i < len; i++) {
        char c = text[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '.' || c == '_'))
            return false;
        ret[i] = c;
    }
    ret[len] = '\0';
    return true;
}

/*
 * Mapped, not read: the page cache then holds a large file only once, and a
 * file that no client requests is not loaded.  The cost, which --help states: a
 * file must not be truncated while it is served.
 */
static int
answer_map_file(const char *path, struct answer *a)
{
    struct stat info;
    int fd, code = CLI_FAILED;
    void *map;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        cli_complain("cannot open '%s': %s", path, strerror(errno));
        return CLI_FAILED;
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        cli_complain("'%s' is not a regular file", path);
        goto out;
    }
    a->body = "";
    a->body_len = (size_t)info.st_size;
    if (a->body_len > 0) {
        map = mmap(NULL, a->body_len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            cli_complain("cannot map '%s': %s", path, strerror(errno));
            a->body_len = 0;
            goto out;
        }
        a->body = map;
        a->is_mapped = true;
    }
    code = CLI_OK;
out:
    close(fd);
    return code;
}

static bool
answer_set_head(struct answer *a, int status, const char *reason,
                const char *fields)
{
    int len = snprintf(NULL, 0,
                       "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\n"
                       "Connection: close\r\n",
                       status, reason, fields, a->body_len);

    a->status = status;
    a->head_len = (size_t)len;
    a->head = malloc(a->head_len + 1);
    if (a->head == NULL)
        return false;
    snprintf(a->head, a->head_len + 1,
             "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\n"
             "Connection: close\r\n",
             status, reason, fields, a->body_len);
    return true;
}

/* See "site.h". */
bool
answer_text(struct answer *a, int status, const char *reason, const char *text)
{
    a->body = text;
    a->body_len = strlen(text);
    return answer_set_head(a, status, reason,
                           "Content-Type: text/plain; charset=utf-8\r\n");
}

/* See "site.h". */
bool
answer_redirect(struct answer *a, const char *url)
{
    size_t len = strlen(url) + sizeof("Location: \r\n");
    char *field = malloc(len);
    bool ok;

    if (field == NULL)
        return false;
    snprintf(field, len, "Location: %s\r\n", url);
    a->body = "";
    a->body_len = 0;
    ok = answer_set_head(a, 301, "Moved Permanently", field);
    free(field);
    return ok;
}

/* See "site.h". */
void
answer_fini(struct answer *a)
{
    free(a->head);
    memset(a, 0, sizeof(*a));
}

/* See "site.h". */
size_t
answer_tail(char tail[ANSWER_TAIL])
{
    static const char day[][4] = { "Sun", "Mon", "Tue", "Wed",
                                   "Thu", "Fri", "Sat" };
    static const char month[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = time(NULL);
    struct tm t;

    /* strftime() would follow the locale. */
    if (gmtime_r(&now, &t) == NULL)
        return (size_t)snprintf(tail, ANSWER_TAIL, "\r\n");
    return (size_t)snprintf(
        tail, ANSWER_TAIL,
        "Date: %s, %02u %s %04u %02u:%02u:%02u GMT"
        "\r\n\r\n",
        day[t.tm_wday], (unsigned)t.tm_mday % 100, month[t.tm_mon],
        (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
        (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}

/* Another item of the table, which resources_fini() releases even if it is
 * incomplete; NULL without memory. */
static struct resource *
answer_new_resource(struct resources *r, const char *name)
{
    struct resource *item, *list;

    list = realloc(r->item, (r->count + 1) * sizeof(*list));
    if (list == NULL)
        return NULL;
    r->item = list;
    item = &list[r->count];
    memset(item, 0, sizeof(*item));
    r->count++;
    item->name = strdup(name);
    return item->name != NULL ? item : NULL;
}

/* The head of a body whose type the name of its file tells; an exit code. */
static int
answer_set_file_head(struct answer *a, const char *file)
{
    char fields[64];

    snprintf(fields, sizeof(fields), "Content-Type: %s\r\n",
             answer_content_type(file));
    if (answer_set_head(a, 200, "OK", fields))
        return CLI_OK;
    cli_complain("out of memory");
    return CLI_FAILED;
}

/* See "site.h". */
int
resources_add(struct resources *r, const char *name_and_file)
{
    const char *equals = strchr(name_and_file, '=');
    struct resource *item;
    char name[256];
    int code;

    if (equals == NULL || equals[1] == '\0')
        return cli_usage("--serve: '%s' is not NAME=FILE", name_and_file);
    if (!host_normalise(name_and_file, (size_t)(equals - name_and_file), name,
                        sizeof(name)))
        return cli_usage("--serve: '%.*s' is not a host name; write "
                         "internationalised ones in their xn-- form",
                         (int)(equals - name_and_file), name_and_file);

    item = answer_new_resource(r, name);
    if (item == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    code = answer_map_file(equals + 1, &item->answer);
    return code == CLI_OK ? answer_set_file_head(&item->answer, equals + 1)
                          : code;
}

/* See "site.h". */
int
resources_add_bytes(struct resources *r, const char *name, const char *file,
                    const void *body, size_t len)
{
    struct resource *item = answer_new_resource(r, name);

    if (item == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    item->answer.body = body;
    item->answer.body_len = len;
    return answer_set_file_head(&item->answer, file);
}

static int
answer_compare_names(const void *a, const void *b)
{
    return strcmp(((const struct resource *)a)->name,
                  ((const struct resource *)b)->name);
}

/* See "site.h". */
bool
resources_seal(struct resources *r)
{
    size_t i;

    qsort(r->item, r->count, sizeof(r->item[0]), answer_compare_names);
    for (i = 1; i < r->count; i++) {
        if (strcmp(r->item[i - 1].name, r->item[i].name) == 0) {
            cli_usage("--serve: '%s' is given twice", r->item[i].name);
            return false;
        }
    }
    return true;
}

/* See "site.h". */
const struct resource *
resources_find(const struct resources *r, const char *name)
{
    /* The cast drops const: the key is only compared. */
    struct resource key = { .name = (char *)(uintptr_t)name };

    return bsearch(&key, r->item, r->count, sizeof(r->item[0]),
                   answer_compare_names);
}

/* See "site.h". */
void
resources_fini(struct resources *r)
{
    size_t i;

    for (i = 0; i < r->count; i++) {
        struct answer *a = &r->item[i].answer;

        if (a->is_mapped)
            munmap((void *)(uintptr_t)a->body, a->body_len);
        answer_fini(a);
        free(r->item[i].name);
    }
    free(r->item);
    memset(r, 0, sizeof(*r));
}
