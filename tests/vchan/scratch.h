/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_SCRATCH_H
#define TESTS_VCHAN_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SCRATCH_MAX 64

/* A directory of its own, in memory where the system has such a place: the
 * pages of a fake hypervisor need not go to a disk. */
static inline void
scratch_dir(char ret_path[SCRATCH_MAX])
{
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : P_tmpdir;

    snprintf(ret_path, SCRATCH_MAX, "%s/flow-vchan-XXXXXX", where);
    assert_non_null(mkdtemp(ret_path));
}

#endif
