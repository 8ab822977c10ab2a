/* SPDX-License-Identifier: Apache-2.0
 * mesos_version.h - what we say when a client asks which Mesos this is: clients compare it, number by number, to learn what
 * they may use (facts: mesos 13.1). Builds of ours do not differ by who made them when, so that is left empty. */
#pragma once

#define MESOS_API_VERSION "1.11.0"
#define MESOS_BUILD_DATE ""
#define MESOS_BUILD_USER ""
#define MESOS_BUILD_TIME 0.0
