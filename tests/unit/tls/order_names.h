/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_ORDER_NAMES_H
#define FLOW_TESTS_UNIT_TLS_ORDER_NAMES_H

#include "tls/order.h"

const char *order_kind_name(enum flow__kind kind);

/* As in tls/order.c. */
const char *order_state_name(enum flow__order_state state);

#endif
