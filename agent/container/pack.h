/* SPDX-License-Identifier: Apache-2.0
 * pack.h - a launcher_spec checked and turned into the message for the supervisor. */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/port/launcher.h"
#include "muster/container.pb-c.h"

/* -EINVAL with the reason for what cannot be done: bad ids and paths, terminals, too many mounts. The result is in the
 * arena and borrows the strings of the spec. What the host gives (isolation, hierarchies...) is left empty. */
int container_pack_spec(const struct launcher_spec *spec, struct arena *arena, Muster__Container__Spec **out,
                        struct err *err);
