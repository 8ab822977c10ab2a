/* SPDX-License-Identifier: Apache-2.0
 * main.h - `muster dns`. */
#pragma once

/* 0 after an ordinary end, 1 after a failure, 2 for bad flags. argv may be reordered. */
int dns_main(int argc, char **argv);
