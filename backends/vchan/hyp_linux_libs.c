/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux_libs.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct vchan_xen flow__xen;

/* The Xen libs_known write to stderr unless given somewhere else to: what went
 * wrong is in our error records. */
static void
libs_log_message(struct xentoollog_logger *logger, xentoollog_level level,
                 int errnoval, const char *context, const char *format,
                 va_list al)
{
    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    (void)format;
    (void)al;
}

static void
libs_log_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

xentoollog_logger flow__vchan_linux_log = {
    .vmessage = libs_log_message,
    .destroy = libs_log_destroy,
};

struct libs_function {
    const char *name;
    size_t offset; /* in struct vchan_xen */
};

#define LIBS_FUNCTION(name) { #name, offsetof(struct vchan_xen, name) },

static const struct libs_function libs_of_call[] = { VCHAN_XENCALL(
    LIBS_FUNCTION) };
static const struct libs_function libs_of_evtchn[] = { VCHAN_XENEVTCHN(
    LIBS_FUNCTION) };
static const struct libs_function libs_of_gnttab[] = { VCHAN_XENGNTTAB(
    LIBS_FUNCTION) };
static const struct libs_function libs_of_store[] = { VCHAN_XENSTORE(
    LIBS_FUNCTION) };

#define LIBS_ENTRY(file, package, functions)                                   \
    {                                                                          \
        file, "cannot load " file,                                             \
            "install Xen's libraries; Debian's package is " package,           \
            file " lacks a function that libflow calls",                       \
            "is this the library of Debian's package " package "?", functions, \
            sizeof(functions) / sizeof((functions)[0])                         \
    }

static const struct libs_library {
    const char *file;
    const char *missing;
    const char *missing_hint;
    const char *lacking;
    const char *lacking_hint;
    const struct libs_function *functions;
    size_t count;
} libs_known[] = {
    LIBS_ENTRY("libxencall.so.1", "libxencall1", libs_of_call),
    LIBS_ENTRY("libxenevtchn.so.1", "libxenevtchn1", libs_of_evtchn),
    LIBS_ENTRY("libxengnttab.so.1", "libxengnttab1", libs_of_gnttab),
    LIBS_ENTRY("libxenstore.so.4", "libxenstore4", libs_of_store),
};

static enum flow_status
libs_fail(struct flow_error *err, const char *text, const char *hint,
          const char *detail)
{
    flow_error_set(err, FLOW_E_NOTSUP, "vchan", FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    if (detail != NULL)
        flow_error_set_detail(err, detail);
    return FLOW_E_NOTSUP;
}

/* Finds the functions of a library; returns the first that is missing, or
 * NULL.  All must come from one place: handles of one copy of a library are not
 * valid in another. */
static const char *
libs_find(const struct libs_library *l, void *where, struct vchan_xen *xen)
{
    for (size_t i = 0; i < l->count; i++) {
        void *symbol = dlsym(where, l->functions[i].name);

        if (symbol == NULL)
            return l->functions[i].name;
        memcpy((char *)xen + l->functions[i].offset, &symbol, sizeof(symbol));
    }
    return NULL;
}

/* Takes the functions from the program, if it is linked with the library, and
 * else loads the library.  It stays loaded: its threads may outlive the last
 * handle. */
static enum flow_status
libs_load(const struct libs_library *l, struct vchan_xen *xen,
          struct flow_error *err)
{
    const char *lacks;
    void *loaded;

    if (libs_find(l, RTLD_DEFAULT, xen) == NULL)
        return FLOW_OK;
    loaded = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
    if (loaded == NULL)
        return libs_fail(err, l->missing, l->missing_hint, dlerror());
    lacks = libs_find(l, loaded, xen);
    if (lacks == NULL)
        return FLOW_OK;
    dlclose(loaded);
    return libs_fail(err, l->lacking, l->lacking_hint, lacks);
}

enum flow_status
flow__vchan_linux_load(struct flow_error *err)
{
    struct vchan_xen xen = { 0 };
    enum flow_status st = FLOW_OK;

    if (flow__xen.xs_open != NULL)
        return FLOW_OK;
    for (size_t i = 0;
         st == FLOW_OK && i < sizeof(libs_known) / sizeof(libs_known[0]); i++)
        st = libs_load(&libs_known[i], &xen, err);
    if (st == FLOW_OK)
        flow__xen = xen;
    return st;
}
