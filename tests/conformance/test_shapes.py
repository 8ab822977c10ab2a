# SPDX-License-Identifier: Apache-2.0
"""Answers of master and agent compared key by key with those recorded from a real Mesos while the same framework ran the same
tasks: a command task with a health check, a task group, and one task of a custom executor that has finished."""
import base64
import json
import re
import uuid

import pytest

import frame
import mesos_wire as wire
import shapes
from conftest import Nodes
from frame import Context, Row, scalar, task

JSON = {"Content-Type": "application/json"}
SAMPLE = {"user": "root", "name": "sample", "failover_timeout": 60.0, "checkpoint": True, "roles": ["web"],
          "webui_url": "http://localhost:9999/", "labels": {"labels": [{"key": "a", "value": "b"}]},
          "capabilities": [{"type": t} for t in ("MULTI_ROLE", "PARTITION_AWARE", "TASK_KILLING_STATE", "RESERVATION_REFINEMENT")]}

WEB = task("web.1", name="web", resources=frame.SMALL + [
    {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31005, "end": 31006}]}}],
    labels={"labels": [{"key": "tier", "value": "front"}]},
    command={"value": "sleep 1000", "environment": {"variables": [{"name": "GREETING", "value": "hi"}]}},
    kill_policy={"grace_period": {"nanoseconds": 1_000_000_000}},
    health_check={"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0, "interval_seconds": 1, "grace_period_seconds": 0},
    discovery={"visibility": "CLUSTER", "name": "web", "ports": {"ports": [
        {"number": 31005, "name": "http", "protocol": "tcp", "labels": {"labels": [{"key": "VIP_0", "value": "/web:80"}]}}]}})
POD = {"type": "DEFAULT", "executor_id": {"value": "pod-1"}, "framework_id": {"value": "$framework"},
       "resources": frame.SMALL + [scalar("disk", 32)]}
CUSTOM = {"type": "CUSTOM", "executor_id": {"value": "custom-1"}, "name": "sample executor", "resources": frame.SMALL,
          "command": {"value": "sleep 1000"}}


class Sample:
    """The framework, brought to the moment of the recording: custom.1 and pod-1.b have finished, the others run, an offer is out."""

    def __init__(self, nodes, protos):
        self.nodes = nodes
        self.context = Context(nodes, protos, "json", Row("13", "sample", [], framework=SAMPLE))
        self.observer = wire.Stream(nodes.address("master"), "/api/v1", JSON, b'{"type":"SUBSCRIBE"}', wire.Json, None)
        self.launch()
        self.until_settled()
        while not self.context.offers:
            self.context.next_event(keep=True)

    def launch(self):
        custom = {k: v for k, v in task("custom.1", name="c").items() if k != "command"} | {"executor": CUSTOM}
        frame.accept(
            {"type": "LAUNCH", "launch": {"task_infos": [WEB, custom]}},
            {"type": "LAUNCH_GROUP", "launch_group": {"executor": POD, "task_group": {"tasks": [
                task("pod-1.a", "sleep 1000", name="a"), task("pod-1.b", "sleep 0.3", name="b")]}}}).run(self.context)

    def until_settled(self):
        """Plays the custom executor and takes the updates until the tasks are as they should be."""
        states, is_healthy = {}, False
        self.run_custom("TASK_RUNNING", "TASK_FINISHED")
        while not (is_healthy and states.get("custom.1") == states.get("pod-1.b") == "TASK_FINISHED"
                   and states.get("pod-1.a") == states.get("web.1") == "TASK_RUNNING"):
            status = self.context.event("UPDATE")["update"]["status"]
            states[status["task_id"]["value"]] = status["state"]
            is_healthy = is_healthy or status.get("healthy", False)
            answer = self.context.ask("scheduler", {"type": "ACKNOWLEDGE", "acknowledge": {
                k: status[k] for k in ("agent_id", "task_id", "uuid")}})
            assert answer.status == 202, answer

    def run_custom(self, *states):
        ids = {"framework_id": {"value": self.context.framework_id}, "executor_id": CUSTOM["executor_id"]}
        stream = self.context.open_until_known("custom", "executor", {"type": "SUBSCRIBE", "subscribe": {}, **ids})
        while stream.next()["type"] != "LAUNCH":
            pass
        for state in states:
            status = {"task_id": {"value": "custom.1"}, "state": state, "source": "SOURCE_EXECUTOR",
                      "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), "timestamp": 1.5}
            answer = self.context.ask("executor", {"type": "UPDATE", "update": {"status": status}, **ids})
            assert answer.status == 202, answer

    def get(self, node, path):
        answer = wire.ask(self.nodes.address(node), "GET", path)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def call(self, node, kind):
        call = {"type": kind} | ({"get_containers": {"show_nested": False}} if kind == "GET_CONTAINERS" else {})
        answer = wire.ask(self.nodes.address(node), "POST", "/api/v1", JSON, json.dumps(call).encode())
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def close(self):
        self.observer.close()
        self.context.close()


@pytest.fixture(scope="module")
def sample(tmp_path_factory, protos):
    nodes = Nodes(tmp_path_factory.mktemp("sample"))
    try:
        made = Sample(nodes, protos)
        yield made
        made.close()
    finally:
        nodes.end()


@pytest.mark.parametrize("answer", sorted(a for a in shapes.recorded() if "stream" not in a and a != "master-GET_QUOTA"))
def test_answer(sample, answer):
    node, _, what = answer.partition("-")
    got = sample.get(node, "/" + what[4:].replace("-stats", "/stats").replace("monitor-", "monitor/")) if what.startswith("GET-") \
        else sample.call(node, what)
    hold_to(answer, shapes.shape(got))


# What is different on purpose or not there yet. Each must still be seen, so that none outlives its reason.
DIFFERENCES = [
    (r"missing: (.*\.)?git_(sha|branch) string", "only a Mesos built inside of a git tree has them"),
    (r"extra: (.*\.)?(muster_version|git_tag) string", "our own version, beside that of the API"),
    (r"extra: isolation object", "which isolation this agent found to be possible"),
    (r"missing: .*statistics\.(disk_\w+|mem_\w+_pressure_counter) (number|array)", "disk use and memory pressure are not measured"),
    (r"missing: .*statistics\.mem_(kmem|kmem_tcp)_usage_bytes number", "kernel memory is not told apart"),
    (r"missing: .*statistics\.mem_(mapped_file|swap|unevictable)_bytes number", "memory is told by fewer kinds"),
    (r"extra: .*statistics\.(cpus_(limit|nr_periods|nr_throttled|throttled_time_secs)|processes|threads) number",
     "the recorded agent did not measure them"),
    (r"missing: roles\[\].(allocated|offered|resources|quota.consumed).ports number", "roles count scalars only"),
    (r"missing: .*agent_info\.checkpoint bool", "the v1 message has no such field"),
    (r"extra: get_weights object", "the answer names itself also when there is nothing in it"),
]
SEEN = set()


def hold_to(answer, got):
    missing, extra = shapes.compare(shapes.recorded()[answer], got)
    unexplained = []
    for line in [f"missing: {m}" for m in missing] + [f"extra: {e}" for e in extra]:
        known = [pattern for pattern, _ in DIFFERENCES if re.fullmatch(pattern, line)]
        SEEN.update(known)
        unexplained += [] if known else [line]
    assert not unexplained, "\n".join(unexplained)


def test_differences_are_seen():
    """Runs after the answers."""
    assert {pattern for pattern, _ in DIFFERENCES} == SEEN
