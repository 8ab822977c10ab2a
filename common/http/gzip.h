/* SPDX-License-Identifier: Apache-2.0
 * gzip.h - compresses whole answers. Internal to common/http. One compressor (about 260 KiB) serves a whole server. */
#pragma once

#include <stddef.h>

#include "common/http/output.h"

struct gzip;
struct gzip *gzip_new(void);
struct gzip *gzip_free(struct gzip *z);
/* Appends the compressed form of data to out. */
void gzip_compress(struct gzip *z, const void *data, size_t len, struct output *out);
