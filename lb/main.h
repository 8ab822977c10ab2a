/* SPDX-License-Identifier: Apache-2.0
 * main.h - `muster lb`. */
#pragma once

/* 0 after an ordinary end, 1 after a failure, 2 for bad flags. argv may be reordered. */
int lb_main(int argc, char **argv);
