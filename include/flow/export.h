/* SPDX-License-Identifier: ISC */
#ifndef FLOW_EXPORT_H
#define FLOW_EXPORT_H

/**
 * @file
 * @brief Attributes of public declarations.
 */

/** Marks a symbol that libflow exports; everything else stays hidden. */
#if defined(__GNUC__)
#define FLOW_API __attribute__((visibility("default")))
#else
#define FLOW_API
#endif

/** The result says what became of data or of an object; do not drop it. */
#if defined(__GNUC__)
#define FLOW_MUST_USE __attribute__((warn_unused_result))
#else
#define FLOW_MUST_USE
#endif

#endif
