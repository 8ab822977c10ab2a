/* SPDX-License-Identifier: Apache-2.0
 * session.h - finding, joining and keeping the master (facts: mesos 8.1; proto/muster/link.proto). */
#pragma once

#include "agent/state.h"

void agent_session_start(struct agent *a);       /* connect now */
void agent_session_stop(struct agent *a);        /* close, and stay closed */
bool agent_session_is_up(const struct agent *a); /* registered: messages may be sent */
void agent_on_link_up(struct agent *a, link_id link);
void agent_on_link_message(struct agent *a, link_id link, const Muster__Link__MasterToAgent *message);
void agent_on_link_down(struct agent *a, link_id link, const char *text);
void agent_on_connect_timer(struct agent *a);
void agent_on_link_timer(struct agent *a);
/* Leave the cluster: end everything, forget everything, then exit with this status and text. */
void agent_session_leave(struct agent *a, int status, const char *text);
/* Goes on with leaving when the last executor is gone. */
void agent_session_settle(struct agent *a);
