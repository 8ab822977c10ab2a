# SPDX-License-Identifier: Apache-2.0
"""The v1 APIs spoken directly, as a foreign scheduler would."""
import base64
import json
import queue
import threading

import pytest
import requests


class Scheduler:
    """A scheduler in JSON over plain HTTP: reads one record of a chunk at a time, as simple clients do."""

    def __init__(self, cluster, info):
        self.url = cluster.master + "/api/v1/scheduler"
        self.events = queue.Queue()
        self.answer = requests.post(self.url, json={"type": "SUBSCRIBE", "subscribe": {"framework_info": info},
                                                    **({"framework_id": info["id"]} if "id" in info else {})},
                                    stream=True, timeout=(5, 60))
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["Content-Type"] == "application/json"
        self.stream_id = self.answer.headers["Mesos-Stream-Id"]
        threading.Thread(target=self.read, daemon=True).start()
        first = self.next()
        self.id = None
        if first["type"] == "SUBSCRIBED":
            self.id = first["subscribed"]["framework_id"]
            assert first["subscribed"]["heartbeat_interval_seconds"] == 15.0
            assert self.next()["type"] == "HEARTBEAT"
        else:
            self.error = first

    def read(self):
        try:
            for chunk in self.answer.raw.read_chunked():
                length, _, body = chunk.partition(b"\n")
                assert int(length) == len(body), "one record is one chunk"
                assert body.isascii() and b"\n" not in body
                self.events.put(json.loads(body))
        except Exception as e:  # the stream's end is an event for the test
            self.events.put({"type": "CLOSED", "why": str(e)})

    def next(self, kind=None, bound=15):
        while True:
            event = self.events.get(timeout=bound)
            if kind is None or event["type"] == kind:
                return event

    def call(self, kind, expect=202, **body):
        answer = requests.post(self.url, json={"type": kind, "framework_id": self.id, **body}, timeout=10,
                               headers={"Mesos-Stream-Id": self.stream_id})
        assert answer.status_code == expect, answer.text
        return answer

    def acknowledge(self, status):
        self.call("ACKNOWLEDGE", acknowledge={"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]})

    def updates(self, *states):
        for state in states:
            status = self.next("UPDATE")["update"]["status"]
            assert status["state"] == state, status
            if "uuid" in status:
                assert len(base64.b64decode(status["uuid"])) == 16
                self.acknowledge(status)
        return status

    def launch(self, offer, *tasks):
        self.call("ACCEPT", accept={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0},
                                    "operations": [{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}]})

    def close(self):
        self.call("TEARDOWN")
        self.answer.close()


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def command_task(offer, task_id, command, **more):
    return {"name": task_id, "task_id": {"value": task_id}, "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)], "command": {"value": command}, **more}


INFO = {"user": "root", "name": "test", "failover_timeout": 60.0}


@pytest.fixture
def scheduler(cluster):
    made = Scheduler(cluster, INFO)
    yield made
    made.close()


def test_command_task_runs_to_its_end(scheduler):
    offer = scheduler.next("OFFERS")["offers"]["offers"][0]
    assert {"cpus", "mem", "ports"} <= {r["name"] for r in offer["resources"]}
    scheduler.launch(offer, command_task(offer, "ends", "exit 0"))
    last = scheduler.updates("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED")
    assert last["source"] == "SOURCE_EXECUTOR"


def test_failures_have_reasons(scheduler):
    offer = scheduler.next("OFFERS")["offers"]["offers"][0]
    scheduler.launch(offer, command_task(offer, "fails", "exit 3"))
    assert "3" in scheduler.updates("TASK_STARTING", "TASK_RUNNING", "TASK_FAILED")["message"]
    offer = scheduler.next("OFFERS")["offers"]["offers"][0]
    bad = command_task(offer, "a/b", "true")
    scheduler.launch(offer, bad)
    status = scheduler.next("UPDATE")["update"]["status"]
    assert status["state"] == "TASK_ERROR" and status["reason"] == "REASON_TASK_INVALID" and "uuid" not in status
    offer = scheduler.next("OFFERS")["offers"]["offers"][0]
    scheduler.launch(offer, command_task(offer, "nofile", "true") |
                     {"command": {"value": "true", "uris": [{"value": "/nonexistent/file"}]}})
    status = scheduler.updates("TASK_FAILED")
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED" and "/nonexistent/file" in status["message"]


def test_invalid_offer_and_reconciliation(scheduler):
    scheduler.call("ACCEPT", accept={"offer_ids": [{"value": "nonsense"}], "operations": [
        {"type": "LAUNCH", "launch": {"task_infos": [command_task({"agent_id": {"value": "x"}}, "lost", "true")]}}]})
    status = scheduler.next("UPDATE")["update"]["status"]
    assert status["state"] == "TASK_LOST" and status["reason"] == "REASON_INVALID_OFFERS"
    scheduler.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "never"}}]})
    status = scheduler.next("UPDATE")["update"]["status"]
    assert status["state"] == "TASK_LOST" and status["reason"] == "REASON_RECONCILIATION"


def test_failover_keeps_the_task(cluster):
    first = Scheduler(cluster, INFO)
    offer = first.next("OFFERS")["offers"]["offers"][0]
    first.launch(offer, command_task(offer, "stays", "sleep 1000"))
    first.updates("TASK_STARTING", "TASK_RUNNING")
    second = Scheduler(cluster, INFO | {"id": first.id})
    assert second.id == first.id
    assert first.next("ERROR")["error"]["message"]
    first.call("SUPPRESS", expect=400)
    second.call("RECONCILE", reconcile={"tasks": []})
    status = second.next("UPDATE")["update"]["status"]
    assert status["task_id"]["value"] == "stays" and status["state"] == "TASK_RUNNING"
    second.call("KILL", kill={"task_id": {"value": "stays"}})
    second.updates("TASK_KILLED")
    second.close()


def test_task_group_runs_and_fails_together(scheduler):
    offer = scheduler.next("OFFERS")["offers"]["offers"][0]
    small = [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 10)]
    executor = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": scheduler.id, "resources": small}
    tasks = [command_task(offer, "one", "sleep 1000"), command_task(offer, "two", "sleep 1; exit 1")]
    scheduler.call("ACCEPT", accept={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}, "operations": [
        {"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}}]})
    ends = {}
    while len(ends) < 2:
        status = scheduler.next("UPDATE")["update"]["status"]
        scheduler.acknowledge(status)
        if status["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            ends[status["task_id"]["value"]] = status["state"]
    assert ends == {"one": "TASK_KILLED", "two": "TASK_FAILED"}


@pytest.mark.parametrize("headers, body, status", [
    ({}, "{}", 400),
    ({"Content-Type": "application/json; charset=utf-8"}, "{}", 415),
    ({"Content-Type": "text/plain"}, "{}", 415),
    ({"Content-Type": "application/json"}, "{", 400),
    ({"Content-Type": "application/json"}, "{}", 400),
    ({"Content-Type": "application/json"}, '{"type":"REVIVE"}', 400),
    ({"Content-Type": "application/json"}, '{"type":"REVIVE","framework_id":{"value":"x"}}', 400),
    ({"Content-Type": "application/json"}, '{"type":"SUBSCRIBE"}', 400),
    ({"Content-Type": "application/json", "Accept": "text/html"},
     '{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"a","name":"b"}}}', 406),
    ({"Content-Type": "application/json", "Mesos-Stream-Id": "x"},
     '{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"a","name":"b"}}}', 400),
])
def test_scheduler_call_errors(cluster, headers, body, status):
    answer = requests.post(cluster.master + "/api/v1/scheduler", data=body, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    assert "{" not in answer.text  # plain text


def test_wrong_method_and_unknown_path(cluster):
    answer = requests.get(cluster.master + "/api/v1/scheduler", timeout=10)
    assert answer.status_code == 405 and answer.headers["Allow"] == "POST"
    assert requests.get(cluster.master + "/nothing", timeout=10).status_code == 404
    assert requests.get(cluster.master + "/master/frameworks/", timeout=10).status_code == 200


@pytest.mark.parametrize("kind", ["GET_HEALTH", "GET_VERSION", "GET_STATE", "GET_AGENTS", "GET_FRAMEWORKS", "GET_TASKS", "GET_ROLES",
                                  "GET_FLAGS", "GET_EXECUTORS"])
def test_operator_queries(cluster, kind):
    answer = requests.post(cluster.master + "/api/v1", json={"type": kind}, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == kind and kind.lower() in answer.json()


def test_metrics_in_both_forms(cluster):
    for role, name in (("master", "master/tasks_running"), ("agent-1", "slave/tasks_running")):
        base = "http://" + cluster.role(role)["address"]
        assert name in requests.get(base + "/metrics/snapshot", timeout=10).json()
        text = requests.get(base + "/metrics", timeout=10).text
        assert "muster_" + name.replace("/", "_") in text and "# TYPE" in text
