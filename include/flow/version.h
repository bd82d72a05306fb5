/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VERSION_H
#define FLOW_VERSION_H

#include <flow/export.h>

/**
 * @file
 * @brief Which libflow this is.
 *
 * The version is written here and nowhere else: the build reads it from this
 * header.  The macros say what a program was compiled with, flow_version()
 * says what it runs with:
 *
 *     printf("built with %s, running with %s\n",
 *            FLOW_VERSION_STRING, flow_version());
 */

/** Incremented when programs must be changed or recompiled. */
#define FLOW_VERSION_MAJOR 0
/** Incremented when something is added. */
#define FLOW_VERSION_MINOR 1
/** Incremented when nothing but errors are mended. */
#define FLOW_VERSION_PATCH 0
/** The three numbers above as text, "major.minor.patch". */
#define FLOW_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Name the version of the library in use.
 *
 * Differs from #FLOW_VERSION_STRING when a program runs with another shared
 * library than the one it was compiled with.  Does no I/O and never blocks.
 *
 * @return Version as "major.minor.patch"; static, never NULL.
 *
 * @par Threads
 * Any thread, any time.
 *
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_version(void);

#ifdef __cplusplus
}
#endif

#endif
