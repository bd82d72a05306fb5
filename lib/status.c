/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/status.h>

struct status_entry {
    enum flow_status status;
    bool sticky;
    const char *name;
    const char *text;
};

static const struct status_entry status_entries[] = {
    { FLOW_OK, false, "FLOW_OK", "done" },
    { FLOW_EOF, true, "FLOW_EOF", "the peer ended its direction" },
    { FLOW_AGAIN, false, "FLOW_AGAIN", "no progress possible now" },
    { FLOW_E_TRUNCATED, true, "FLOW_E_TRUNCATED",
      "the stream was truncated before its end marker" },
    { FLOW_E_CLOSED, true, "FLOW_E_CLOSED", "the direction is closed" },
    { FLOW_E_RESET, true, "FLOW_E_RESET", "the connection was reset" },
    { FLOW_E_TIMEOUT, false, "FLOW_E_TIMEOUT", "the deadline passed" },
    { FLOW_E_CANCELED, true, "FLOW_E_CANCELED", "the flow was aborted" },
    { FLOW_E_PROTO, true, "FLOW_E_PROTO", "the peer violated the protocol" },
    { FLOW_E_AUTH, true, "FLOW_E_AUTH", "an identity check failed" },
    { FLOW_E_NOMEM, false, "FLOW_E_NOMEM", "out of memory" },
    { FLOW_E_INVAL, false, "FLOW_E_INVAL", "an argument is out of range" },
    { FLOW_E_NOTSUP, false, "FLOW_E_NOTSUP", "not supported by this flow" },
    { FLOW_E_BUSY, false, "FLOW_E_BUSY",
      "another call or lease of this direction is active" },
    { FLOW_E_SYS, true, "FLOW_E_SYS", "operating-system error" },
    { FLOW_E_ENTROPY, true, "FLOW_E_ENTROPY",
      "no source of entropy is healthy" },
};

static const struct status_entry status_unknown = { FLOW_OK, false,
                                                    "FLOW_UNKNOWN",
                                                    "unknown status" };

static const struct status_entry *
status_find_status(enum flow_status status)
{
    size_t i;

    for (i = 0; i < sizeof(status_entries) / sizeof(status_entries[0]); i++)
        if (status_entries[i].status == status)
            return &status_entries[i];
    return &status_unknown;
}

/* See <flow/status.h>. */
const char *
flow_status_name(enum flow_status status)
{
    return status_find_status(status)->name;
}

/* See <flow/status.h>. */
const char *
flow_status_text(enum flow_status status)
{
    return status_find_status(status)->text;
}

/* See <flow/status.h>. */
bool
flow_status_is_sticky(enum flow_status status)
{
    return status_find_status(status)->sticky;
}

/* See <flow/status.h>. */
void
flow_error_clear(struct flow_error *err)
{
    memset(err, 0, sizeof(*err));
    err->alert_sent = -1;
    err->alert_received = -1;
}

/* See <flow/status.h>. */
enum flow_status
flow_error_set(struct flow_error *err, enum flow_status status,
               const char *layer, enum flow_domain domain, int32_t code,
               const char *text)
{
    if (err == NULL)
        return status;
    flow_error_clear(err);
    err->status = status;
    err->domain = domain;
    err->code = code;
    err->text = text;
    flow_error_add_layer(err, layer);
    return status;
}

/* See <flow/status.h>. */
void
flow_error_set_detail(struct flow_error *err, const char *detail)
{
    size_t i;

    if (err == NULL)
        return;
    for (i = 0; i < sizeof(err->detail) - 1 && detail[i] != '\0'; i++)
        err->detail[i] = detail[i] < ' ' || detail[i] > '~' ? '?' : detail[i];
    err->detail[i] = '\0';
}

/* See <flow/status.h>. */
void
flow_error_add_layer(struct flow_error *err, const char *layer)
{
    if (err == NULL)
        return;
    if (err->layer_count < FLOW_ERROR_LAYERS)
        err->layer_count++;
    err->layers[err->layer_count - 1] = layer;
}

/* A text that is cut at the end of the buffer but counted whole. */
struct status_writer {
    char *buf;
    size_t cap;
    size_t len;
};

static void
status_put(struct status_writer *w, const char *text)
{
    for (; *text != '\0'; text++) {
        if (w->len + 1 < w->cap)
            w->buf[w->len] = *text;
        w->len++;
    }
}

/* At least min digits. */
static void
status_put_int(struct status_writer *w, int32_t value, unsigned base,
               size_t min)
{
    char digits[12];
    size_t at = sizeof(digits) - 1;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789ABCDEF"[rest % base];
        rest /= base;
    } while (rest != 0 || sizeof(digits) - 1 - at < min);
    if (value < 0)
        status_put(w, "-");
    status_put(w, base == 16 ? "0x" : "");
    status_put(w, digits + at);
}

/* Topmost first, as one describes a stack: "tls over tcp: ". */
static void
status_put_layers(struct status_writer *w, const struct flow_error *err)
{
    uint32_t i;

    for (i = err->layer_count; i > 0; i--) {
        status_put(w, err->layers[i - 1]);
        status_put(w, i > 1 ? " over " : ": ");
    }
}

static void
status_put_code(struct status_writer *w, const struct flow_error *err)
{
    static const char *const prefix[] = {
        [FLOW_DOMAIN_NONE] = "code ",
        [FLOW_DOMAIN_ERRNO] = "errno ",
        [FLOW_DOMAIN_ENGINE] = "engine error ",
        [FLOW_DOMAIN_RESOLVER] = "resolver error ",
        [FLOW_DOMAIN_XEN] = "xen error ",
    };
    size_t domain = (size_t)err->domain;

    if (err->code == 0)
        return;
    status_put(w, ", ");
    status_put(w, domain < sizeof(prefix) / sizeof(prefix[0]) ? prefix[domain]
                                                              : prefix[0]);
    /* TLS engines document theirs in hexadecimal, as -0x7200. */
    if (err->domain == FLOW_DOMAIN_ENGINE)
        status_put_int(w, err->code, 16, 4);
    else
        status_put_int(w, err->code, 10, 1);
}

static void
status_put_alert(struct status_writer *w, const char *prefix, int alert)
{
    if (alert < 0)
        return;
    status_put(w, prefix);
    status_put(w, flow_alert_name(alert));
}

/* See <flow/status.h>. */
size_t
flow_error_format(const struct flow_error *err, char *buf, size_t len)
{
    struct status_writer w = { buf, len, 0 };

    status_put_layers(&w, err);
    status_put(&w,
               err->text != NULL ? err->text : flow_status_text(err->status));
    status_put_alert(&w, ": ", err->alert_received);
    if (err->detail[0] != '\0') {
        status_put(&w, " (");
        status_put(&w, err->detail);
        status_put(&w, ")");
    }
    status_put_code(&w, err);
    status_put_alert(&w, ", alert sent: ", err->alert_sent);
    if (err->hint != NULL) {
        status_put(&w, "; ");
        status_put(&w, err->hint);
    }
    if (len > 0)
        buf[w.len < len ? w.len : len - 1] = '\0';
    return w.len;
}
