/* SPDX-License-Identifier: Apache-2.0
 * api_containers.h - the calls of the operator API about containers (facts: mesos 4.3, 4.4). */
#pragma once

#include "agent/attach.h"
#include "agent/containers.h"
#include "agent/shell.h"

void agent_api_containers_init(struct agent_shell *s, uint64_t seed);
/* After the servers were stopped. */
void agent_api_containers_deinit(struct agent_shell *s);

/* One call. False when it is none of these; then nothing was answered. */
bool agent_api_containers(struct agent_shell *s, struct http_exchange *x, const struct http_message *request,
                          const Mesos__V1__Agent__Call *call, struct arena *arena);

/* The launcher's news, of all containers: before the core hears of those that are its own. */
void agent_api_container_started(struct agent_shell *s, const char *launcher_id, int pid);
void agent_api_container_ended(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end);

/* At the start (container_store.c): those of before, from what the store holds; the ids that the launcher shall look for,
 * with the core's; and, when it has looked, those whose outermost container is gone are forgotten. */
void agent_api_containers_restore(struct agent_shell *s, const struct agent_item *items, size_t count);
const char *const *agent_api_containers_known(struct agent_shell *s, const char *const *cores, size_t *count,
                                              struct arena *arena);
void agent_api_containers_recovered(struct agent_shell *s);

/* GET_CONTAINERS: those that are no executors', as asked for. Appends to the answer, whose array has room for
 * agent_api_containers_count more. */
size_t agent_api_containers_count(const struct agent_shell *s);
void agent_api_containers_list(struct agent_shell *s, struct http_exchange *x,
                               const Mesos__V1__Agent__Call__GetContainers *call, struct arena *arena,
                               Mesos__V1__Agent__Response__GetContainers *answer);

/* For attach.c. Begins a streamed answer. */
void agent_api_stream_begin(struct http_exchange *x, struct agent_stream_format format, size_t pending_max);
/* The container that a client wants to write to: 0 and its launcher id, or the status of an answer. */
int agent_api_container_for_input(struct agent_shell *s, struct http_exchange *x, const Mesos__V1__ContainerID *id,
                                  struct arena *arena, const char **launcher_id, struct err *err);
