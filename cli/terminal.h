/* SPDX-License-Identifier: Apache-2.0
 * terminal.h - the person's terminal while it belongs to a program elsewhere: raw, and given back on every way out of this
 * process (return, exit, and signals that end it). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

/* Standard input becomes raw. -ENOTTY when it is no terminal. */
int terminal_take(struct err *err);
void terminal_give_back(void); /* harmless when it was not taken */
/* Rows and columns; false when standard input is no terminal or does not know. */
bool terminal_size(uint16_t *rows, uint16_t *columns);
