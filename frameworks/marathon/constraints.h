/* SPDX-License-Identifier: Apache-2.0
 * constraints.h - may an instance of an app go to an agent, given where its others are (facts: marathon 2.9, 4.6)? Values
 * are texts, one per constraint of the app, NULL where the agent has no such field; the caller keeps those of each
 * instance. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "frameworks/marathon/app.h"
#include "mesos/v1/mesos.pb-c.h"

/* The values an offer's agent has for the app's constraints, into the arena. */
const char **constraint_values(const struct app *app, const Mesos__V1__Offer *offer, struct arena *arena);
/* Does the app choose its region or zone itself? */
bool constraints_name_region(const struct app *app);

/* How the counted instances of one app are spread. */
struct spread;
struct spread *spread_new(const struct app *app); /* borrows the app */
struct spread *spread_free(struct spread *s);     /* accepts NULL, returns NULL */
void spread_add(struct spread *s, const char *const *values);
bool spread_accepts(const struct spread *s, const char *const *values);
/* Instances beside this one in its largest GROUP_BY group, 0 without such a constraint: ends first when shrinking. */
size_t spread_crowd(const struct spread *s, const char *const *values);
void spread_remove(struct spread *s, const char *const *values);
