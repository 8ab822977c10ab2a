/* SPDX-License-Identifier: Apache-2.0
 * fuzz_agent_checkpoint.c - an agent that starts from whatever its store may hold: it recovers or names what it cannot
 * read. Input: items of one byte key length, key, two bytes value length (big-endian), value. */
#include <stdint.h>
#include <string.h>

#include "agent/agent.h"

#define ITEMS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_item items[ITEMS_MAX];
    size_t count = 0;
    for (size_t at = 0; count < ITEMS_MAX && at < size;) {
        size_t key_len = data[at++];
        if (size - at < key_len + 2)
            break;
        const uint8_t *key = data + at;
        at += key_len;
        size_t value_len = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        if (size - at < value_len)
            break;
        items[count++] = (struct agent_item){.key = key, .key_len = key_len, .value = data + at, .value_len = value_len};
        at += value_len;
    }
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    info.hostname = (char *)(uintptr_t) "h1";
    info.port = 5051;
    struct agent_config config = {.info = &info, .ip = "10.0.0.7", .work_dir = "/w", .version = "1", .seed = 1};
    struct agent *a = agent_new(&config);
    struct agent_effects out;
    agent_effects_init(&out);
    struct agent_event in = {.type = AGENT_IN_STARTED,
                             .now_ms = 1000,
                             .wall_ms = 1700000000000,
                             .started = {.items = items, .count = count, .boot_id = "boot-1"}};
    (void)agent_step(a, &in, &out); /* a refusal shows in the phase */
    agent_check_invariants(a);
    if (agent_phase(a) == AGENT_PHASE_CONTAINERS) {
        in = (struct agent_event){.type = AGENT_IN_CONTAINERS_RECOVERED, .now_ms = 2000, .wall_ms = 1700000001000};
        (void)agent_step(a, &in, &out);
        agent_check_invariants(a);
    }
    agent_effects_deinit(&out);
    (void)agent_free(a);
    return 0;
}
