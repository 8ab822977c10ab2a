/* SPDX-License-Identifier: Apache-2.0
 * cron_history.h - once all has settled: do cron's records tell of every moment and run, once, and as was asked for? They
 * are what its API answers with. Judged by the jobs' definitions, the operator's diary, and what really ran (check_cron.h):
 *
 *   - the records of a job are numbered without a gap: nothing has vanished
 *   - every moment from the first one to the end of the schedule is in one record: as a run, or with a reason
 *   - what is decided late was due while cron was down, and the policy for missed moments was followed
 *   - what was forbidden or replaced was so because of a run that was under way
 *   - a run that is told as good ended well, with all its indices; what was launched has a record
 *   - in an instance of a graph a child has one record once its parents have theirs, a run only if they ended as asked */
#pragma once

#include "sim/sim_cron.h"

void cron_history_check(struct sim_cron *s);
