/* SPDX-License-Identifier: Apache-2.0
 * legacy.h - objects of the old endpoints (/state, /slaves, ...; facts: mesos 5.2 to 5.4), written straight from the core's
 * state. Internal to master/. */
#pragma once

#include "common/base/json.h"
#include "master/authorize.h"
#include "master/picture.h"
#include "master/state.h"

/* Tasks per state and who runs where, over everything that is still remembered; for /state-summary. */
struct legacy_summary;
struct legacy_summary *legacy_summary_new(const struct master *m);
struct legacy_summary *legacy_summary_free(struct legacy_summary *s);

/* Without what is reserved to roles that the reader may not see. with_full: the *_resources_full members of /slaves.
 * summary: NULL, or its counters are added. */
void legacy_write_agent(const struct master_view *v, const struct master_agent *a, bool with_full,
                        const struct legacy_summary *summary, struct json_writer *w);
void legacy_write_recovered_agent(const struct master_agent *a, struct json_writer *w);
/* summary: NULL for everything with those of its tasks that the reader may see, else the short form. picture: NULL, or w is
 * its writer and the tasks are left to it. */
void legacy_write_framework(const struct master_view *v, const struct master_framework *f,
                            const struct legacy_summary *summary, struct arena *arena, struct json_writer *w,
                            struct master_picture *picture);
void legacy_write_task(const Mesos__V1__Task *task, struct json_writer *w);
void legacy_write_role(const struct master_role *r, struct json_writer *w);
