/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux.h"

#include <errno.h>

bool
flow__vchan_linux_lacks_descriptors(int code)
{
    return code == EMFILE || code == ENFILE;
}

static const char *
error_hint(int code, const char *hint)
{
    if (code == EMFILE)
        return "close descriptors, or raise the limit of open files";
    if (code == ENFILE)
        return "end programs that hold files open, or raise fs.file-max";
    return hint;
}

enum flow_status
flow__vchan_linux_fail(struct flow_error *err, const char *text,
                       const char *hint)
{
    int code = errno;
    enum flow_status st =
        code == ENOMEM || code == ENOSPC ? FLOW_E_NOMEM : FLOW_E_SYS;

    if (flow__vchan_linux_lacks_descriptors(code)) {
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_ERRNO, code,
                       code == EMFILE ? "too many open files in this process"
                                      : "too many open files in the system");
        flow_error_set_detail(err, text);
    } else {
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_ERRNO, code, text);
    }
    if (err != NULL)
        err->hint = error_hint(code, hint);
    return st;
}
