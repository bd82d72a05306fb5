/* SPDX-License-Identifier: ISC */
#include "keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flow/env.h>
#include <flow/tls_export.h>

#include "cli.h"

static const char *chosen;
static int descriptor = -1;

void
keylog_choose(const char *path)
{
    chosen = path;
}

bool
keylog_is_chosen(void)
{
    return chosen != NULL;
}

/* One write for a line, so that lines of several threads and processes do not
 * mix in a file that is opened for appending.  A full disk costs the log, not
 * the connection. */
static void
keylog_write(void *user, const char *line)
{
    char buf[256];
    int len = snprintf(buf, sizeof(buf), "%s\n", line);

    (void)user;
    if (len < 0 || (size_t)len >= sizeof(buf) ||
        write(descriptor, buf, (size_t)len) != len)
        cli_complain("cannot write the key log: %s", strerror(errno));
    flow_wipe(buf, sizeof(buf));
}

static int
keylog_open(const char *path, const char *source)
{
    descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        cli_complain("cannot open the key log (%s): %s: %s", source, path,
                     strerror(errno));
        return CLI_FAILED;
    }
    cli_complain("the keys of every connection are written to %s (%s)", path,
                 source);
    return CLI_OK;
}

int
keylog_attach(struct flow_tls_config *config)
{
    const char *path = chosen;
    int code = CLI_OK;

    if (path == NULL)
        path = getenv("SSLKEYLOGFILE");
    if (path == NULL || path[0] == '\0')
        return CLI_OK;
    if (descriptor < 0)
        code = keylog_open(path, chosen != NULL ? "--keylog" : "SSLKEYLOGFILE");
    if (code != CLI_OK)
        return code;
    return flow_tls_config_insecure_set_key_log(config, keylog_write, NULL) ==
                   FLOW_OK
               ? CLI_OK
               : CLI_FAILED;
}
