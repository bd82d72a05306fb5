/* SPDX-License-Identifier: ISC */
#include "starttls.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

enum {
    GREETING, /* of the server, to come */
    EHLO,     /* SMTP: the answer to EHLO, to come */
    ANSWER,   /* the answer to the request for TLS, to come */
    COMMAND,  /* of the client, to come */
    DONE,     /* once out is sent */
    REFUSED   /* the same */
};

/* The first byte of a client that speaks TLS: the type of its record. */
#define TLS_HANDSHAKE 0x16

#define PG_REQUEST_LEN 8
static const char pg_request[PG_REQUEST_LEN] = { 0,    0,          0,    8,
                                                 0x04, (char)0xd2, 0x16, 0x2f };
static const char pg_gss_request[PG_REQUEST_LEN] = { 0,    0,    0,
                                                     8,    0x04, (char)0xd2,
                                                     0x16, 0x30 };

bool
starttls_choose(const char *name, enum starttls_protocol *ret)
{
    static const char *const names[] = { NULL, "smtp", "imap", "postgres" };

    for (int i = STARTTLS_SMTP; i <= STARTTLS_POSTGRES; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum starttls_protocol)i;
            return true;
        }
    cli_usage("--starttls: '%s' is not smtp, imap or postgres", name);
    return false;
}

static void
starttls_put(struct starttls *s, const char *bytes, size_t len)
{
    memcpy(s->out, bytes, len);
    s->out_len = len;
    s->out_sent = 0;
}

static void
starttls_reply(struct starttls *s, const char *text)
{
    starttls_put(s, text, strlen(text));
}

static void
starttls_refuse(struct starttls *s, const char *problem)
{
    s->state = REFUSED;
    s->problem = problem;
}

static void
starttls_finish(struct starttls *s)
{
    if (s->in_len > 0) {
        s->out_len = 0;
        starttls_refuse(s, s->role == STARTTLS_SKIPS
                               ? "the server sends more than its greeting"
                               : "the peer sent more before TLS began, which "
                                 "would be taken for a part of what TLS "
                                 "protects");
        return;
    }
    s->state = DONE;
}

void
starttls_init(struct starttls *s, enum starttls_protocol protocol,
              enum starttls_role role)
{
    memset(s, 0, sizeof(*s));
    s->protocol = protocol;
    s->role = role;
    s->state = role == STARTTLS_SERVES ? COMMAND : GREETING;
    if (protocol == STARTTLS_POSTGRES && role == STARTTLS_SKIPS)
        s->state = DONE;
    if (protocol == STARTTLS_POSTGRES && role == STARTTLS_CALLS) {
        s->state = ANSWER;
        starttls_put(s, pg_request, PG_REQUEST_LEN);
    }
    if (protocol == STARTTLS_SMTP && role == STARTTLS_SERVES)
        starttls_reply(s, "220 flow-proxy ESMTP\r\n");
    if (protocol == STARTTLS_IMAP && role == STARTTLS_SERVES)
        starttls_reply(s, "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] "
                          "flow-proxy\r\n");
}

/* --- the lines of a server --- */

static bool
starttls_begins(const char *line, const char *word)
{
    return strncasecmp(line, word, strlen(word)) == 0;
}

/* A reply of several lines has "-" after its code except in the last. */
static void
starttls_on_smtp_reply(struct starttls *s, const char *line)
{
    const char *code = s->state == EHLO ? "250" : "220";
    const bool is_last = strlen(line) < 4 || line[3] != '-';

    if (!starttls_begins(line, code)) {
        starttls_refuse(s, s->state == ANSWER
                               ? "the server refuses STARTTLS"
                               : "the server refuses the connection, or does "
                                 "not speak SMTP");
        return;
    }
    if (s->state == EHLO && strlen(line) > 4 &&
        strcasecmp(line + 4, "STARTTLS") == 0)
        s->is_offered = true;
    if (!is_last)
        return;
    if (s->state == ANSWER || s->role == STARTTLS_SKIPS) {
        starttls_finish(s);
    } else if (s->state == GREETING) {
        s->state = EHLO;
        starttls_reply(s, "EHLO [127.0.0.1]\r\n");
    } else if (s->is_offered) {
        s->state = ANSWER;
        starttls_reply(s, "STARTTLS\r\n");
    } else {
        starttls_refuse(s, "the server does not offer STARTTLS");
    }
}

static void
starttls_on_imap_reply(struct starttls *s, const char *line)
{
    if (s->state == GREETING && starttls_begins(line, "* OK")) {
        if (s->role == STARTTLS_SKIPS) {
            starttls_finish(s);
            return;
        }
        s->state = ANSWER;
        starttls_reply(s, "a1 STARTTLS\r\n");
    } else if (s->state == GREETING) {
        /* PREAUTH too: after it STARTTLS is not possible. */
        starttls_refuse(s, "the server does not begin with '* OK'");
    } else if (starttls_begins(line, "a1 OK")) {
        starttls_finish(s);
    } else if (!starttls_begins(line, "* ")) {
        starttls_refuse(s, "the server refuses STARTTLS");
    }
}

/* --- the lines of a client --- */

static void
starttls_on_smtp_command(struct starttls *s, const char *line)
{
    if (strcasecmp(line, "STARTTLS") == 0) {
        starttls_reply(s, "220 ready\r\n");
        starttls_finish(s);
    } else if (starttls_begins(line, "EHLO ")) {
        starttls_reply(s, "250-flow-proxy\r\n250 STARTTLS\r\n");
    } else if (starttls_begins(line, "HELO ")) {
        starttls_reply(s, "250 flow-proxy\r\n");
    } else if (strcasecmp(line, "NOOP") == 0) {
        starttls_reply(s, "250 ok\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        starttls_reply(s, "221 bye\r\n");
        starttls_refuse(s, "the client left before TLS");
    } else {
        starttls_reply(s, "530 5.7.0 Must issue a STARTTLS command first\r\n");
    }
}

static void
starttls_on_imap_command(struct starttls *s, const char *line)
{
    size_t tag = strcspn(line, " ");
    const char *command = line + tag + (line[tag] == ' ');
    const char *before = "", *after = "NO [PRIVACYREQUIRED] STARTTLS first";
    size_t i = 0;

    while (i < tag && isgraph((unsigned char)line[i]) &&
           strchr("(){%*\"\\+", line[i]) == NULL)
        i++;
    if (tag == 0 || tag > 32 || i < tag) {
        starttls_reply(s, "* BAD command without a tag\r\n");
        return;
    }
    if (strcasecmp(command, "STARTTLS") == 0 ||
        strcasecmp(command, "NOOP") == 0 || strcasecmp(command, "LOGOUT") == 0)
        after = "OK done";
    if (strcasecmp(command, "LOGOUT") == 0)
        before = "* BYE\r\n";
    if (strcasecmp(command, "CAPABILITY") == 0) {
        before = "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n";
        after = "OK done";
    }
    s->out_len = (size_t)snprintf(s->out, sizeof(s->out), "%s%.*s %s\r\n",
                                  before, (int)tag, line, after);
    s->out_sent = 0;
    if (strcasecmp(command, "LOGOUT") == 0)
        starttls_refuse(s, "the client left before TLS");
    if (strcasecmp(command, "STARTTLS") == 0)
        starttls_finish(s);
}

/* --- bytes --- */

static void
starttls_consume(struct starttls *s, size_t len)
{
    s->in_len -= len;
    memmove(s->in, s->in + len, s->in_len);
}

static void
starttls_on_line(struct starttls *s, const char *line)
{
    if (++s->lines > STARTTLS_LINES_MAX)
        starttls_refuse(s, "the peer sends line after line instead of starting "
                           "TLS");
    else if (s->role != STARTTLS_SERVES)
        (s->protocol == STARTTLS_SMTP ? starttls_on_smtp_reply
                                      : starttls_on_imap_reply)(s, line);
    else
        (s->protocol == STARTTLS_SMTP ? starttls_on_smtp_command
                                      : starttls_on_imap_command)(s, line);
}

/* Handle the first line in in; false: there is none yet. */
static bool
starttls_take_line(struct starttls *s)
{
    const char *end = memchr(s->in, '\n', s->in_len);
    char line[STARTTLS_LINE_MAX];
    size_t len;

    if (end == NULL) {
        if (s->in_len == sizeof(s->in))
            starttls_refuse(s, "the peer sends a line that is too long");
        return s->in_len == sizeof(s->in);
    }
    len = (size_t)(end - s->in);
    memcpy(line, s->in, len);
    starttls_consume(s, len + 1);
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    if (strlen(line) != len)
        starttls_refuse(s, "the peer sends a line with a NUL");
    else
        starttls_on_line(s, line);
    return true;
}

static bool
starttls_take_pg_answer(struct starttls *s)
{
    char answer;

    if (s->in_len == 0)
        return false;
    answer = s->in[0];
    starttls_consume(s, 1);
    if (answer == 'S')
        starttls_finish(s);
    else
        starttls_refuse(s, answer == 'N'
                               ? "the server does not offer TLS"
                               : "the server refuses the connection, or does "
                                 "not speak PostgreSQL");
    return true;
}

static bool
starttls_take_pg_request(struct starttls *s)
{
    if (s->in_len < PG_REQUEST_LEN)
        return false;
    if (memcmp(s->in, pg_gss_request, PG_REQUEST_LEN) == 0 && s->lines++ == 0) {
        starttls_reply(s, "N");
        starttls_consume(s, PG_REQUEST_LEN);
    } else if (memcmp(s->in, pg_request, PG_REQUEST_LEN) == 0) {
        starttls_reply(s, "S");
        starttls_consume(s, PG_REQUEST_LEN);
        starttls_finish(s);
    } else {
        starttls_refuse(s, "the client does not ask for TLS");
    }
    return true;
}

/* Whether a client begins TLS at once, as with a port that is for TLS alone. */
static bool
starttls_is_tls(const struct starttls *s)
{
    return s->role == STARTTLS_SERVES && s->lines == 0 && s->in_len > 0 &&
           s->in[0] == TLS_HANDSHAKE;
}

/* Whether in had something to go on with. */
static bool
starttls_take(struct starttls *s)
{
    if (starttls_is_tls(s)) {
        starttls_refuse(s, "the client begins TLS without asking for it first");
        return true;
    }
    if (s->protocol != STARTTLS_POSTGRES)
        return starttls_take_line(s);
    return s->role == STARTTLS_CALLS ? starttls_take_pg_answer(s)
                                     : starttls_take_pg_request(s);
}

static enum flow_status
starttls_send(struct starttls *s, struct flow *f)
{
    enum flow_status st = FLOW_OK;
    size_t n;

    while (s->out_sent < s->out_len && st == FLOW_OK) {
        st = flow_write(f, s->out + s->out_sent, s->out_len - s->out_sent, &n);
        if (st == FLOW_OK)
            s->out_sent += n;
    }
    if (st == FLOW_OK && s->out_len > 0) {
        st = flow_flush(f);
        if (st == FLOW_OK)
            s->out_len = s->out_sent = 0;
    }
    return st;
}

static enum flow_status
starttls_fill(struct starttls *s, struct flow *f)
{
    size_t n = 0;
    enum flow_status st =
        flow_read(f, s->in + s->in_len, sizeof(s->in) - s->in_len, &n);

    s->in_len += n;
    if (st != FLOW_EOF)
        return st;
    starttls_refuse(s, "the peer ended the connection before TLS began");
    return FLOW_OK;
}

enum flow_status
starttls_step(struct starttls *s, struct flow *f)
{
    enum flow_status st = FLOW_OK;

    while (st == FLOW_OK) {
        st = starttls_send(s, f);
        if (st != FLOW_OK)
            break;
        if (s->state == DONE)
            return FLOW_OK;
        if (s->state == REFUSED)
            return FLOW_E_PROTO;
        if (!starttls_take(s))
            st = starttls_fill(s, f);
    }
    return st;
}

uint32_t
starttls_wants(const struct starttls *s)
{
    if (s->out_sent < s->out_len)
        return FLOW_READY_WRITE;
    return s->out_len > 0 ? FLOW_READY_FLUSH : FLOW_READY_READ;
}
