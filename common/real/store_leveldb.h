/* SPDX-License-Identifier: Apache-2.0
 * store_leveldb.h - the store port on LevelDB. All LevelDB calls happen on one thread of its own; many waiting writes
 * become one synced batch. */
#pragma once

#include "common/base/err.h"
#include "common/port/loop.h"
#include "common/port/store.h"

/* Opens or creates the database in directory dir (its parents must exist). Blocks: for start-up only. A directory that is
 * locked by another process, or of another format, is an error that names it. */
int store_leveldb_open(struct loop *loop, const char *dir, struct store **out, struct err *err);
