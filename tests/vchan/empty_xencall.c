/* SPDX-License-Identifier: ISC */
/* A library with the name of Xen's and none of its functions. */
extern const char empty_xencall[];
const char empty_xencall[] = "no xencall_open";
