/* SPDX-License-Identifier: ISC */

/* gcc's own limits.h defines the limits and asks for a C library's to add to
 * them; there is none. */
