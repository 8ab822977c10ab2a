# SPDX-License-Identifier: Apache-2.0
"""A small scheduler for the tests, by the v1 scheduler API in JSON. A thread reads the stream, so that nothing is held up;
what came is looked at under a condition. The stream is opened again when the master was started again."""
import json
import threading
import time
import uuid

import requests
import urllib3


def scalar(name, value, role=None, principal=None, volume=None, path="data"):
    """A resource; reserved to the role, a persistent volume when it has an id."""
    made = {"name": name, "type": "SCALAR", "scalar": {"value": value}}
    if role:
        made["reservations"] = [{"type": "DYNAMIC", "role": role} | ({"principal": principal} if principal else {})]
    if volume:
        made["disk"] = {"persistence": {"id": volume} | ({"principal": principal} if principal else {}),
                        "volume": {"container_path": path, "mode": "RW"}}
    return made


def amount(resources, name, role=None, volume=None):
    """How much of a name is reserved to the role (None: unreserved), in a volume of that id (None: in none)."""
    total = 0
    for r in resources:
        of = r["reservations"][-1]["role"] if r.get("reservations") else None
        of_volume = r.get("disk", {}).get("persistence", {}).get("id")
        if r["name"] == name and of == role and of_volume == volume:
            total += r["scalar"]["value"]
    return total


class Scheduler:
    def __init__(self, cluster, roles=("web",), name="tests", **info):
        self.url = cluster.master + "/api/v1/scheduler"
        self.info = {"user": "root", "name": name, "roles": list(roles), "failover_timeout": 600.0, "checkpoint": True,
                     "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}, {"type": "PARTITION_AWARE"}],
                     } | info
        self.condition = threading.Condition()
        self.offers, self.events, self.stream_id, self.stopped = {}, [], None, False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.wait(lambda: self.stream_id, "SUBSCRIBED")

    @property
    def id(self):
        return self.info["id"]["value"]

    def _read(self):
        while not self.stopped:
            try:
                self._read_stream()
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
                pass
            with self.condition:
                self.stream_id = None
                self.offers.clear()
                self.condition.wait(0.1)

    def _read_stream(self):
        call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info}}
        if "id" in self.info:
            call["framework_id"] = self.info["id"]
        with requests.post(self.url, json=call, stream=True, timeout=(5, 40)) as answer:
            if answer.status_code != 200:
                return
            while not self.stopped:
                length = b""
                while not length.endswith(b"\n"):
                    byte = answer.raw.read(1)
                    if not byte:
                        return
                    length += byte
                self._on(json.loads(answer.raw.read(int(length))), answer.headers["Mesos-Stream-Id"])

    def _on(self, event, stream_id):
        with self.condition:
            if event["type"] == "SUBSCRIBED":
                self.info["id"] = event["subscribed"]["framework_id"]
                self.stream_id = stream_id
            elif event["type"] == "OFFERS":
                self.offers |= {o["id"]["value"]: o for o in event["offers"]["offers"]}
            elif event["type"] == "RESCIND":
                self.offers.pop(event["rescind"]["offer_id"]["value"], None)
            if event["type"] != "HEARTBEAT":
                self.events.append(event)
            self.condition.notify_all()

    def wait(self, condition, what, bound=30):
        end = time.monotonic() + bound
        with self.condition:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                assert left > 0, f"{what} did not come in {bound} s; offers {list(self.offers.values())}; last {self.events[-5:]}"
                self.condition.wait(left)

    def call(self, kind, expect=202, **fields):
        self.wait(lambda: self.stream_id, "a stream")
        body = {"type": kind, "framework_id": self.info["id"]}
        if fields:
            body[kind.lower()] = fields
        answer = requests.post(self.url, json=body, headers={"Mesos-Stream-Id": self.stream_id}, timeout=30)
        assert answer.status_code == expect, answer.text
        return answer

    # -- offers

    def offer(self, holds=lambda resources: True, what="an offer", bound=30):
        """An offer whose resources are as wanted; others are given back, so that they come again together."""
        def fits():
            return next((o for o in self.offers.values() if holds(o["resources"])), None)

        def waited():
            found = fits()
            if found is None and self.offers:
                raise_again.append(list(self.offers))
            return found or raise_again
        raise_again = []
        end = time.monotonic() + bound
        while True:
            found = self.wait(waited, what, max(0.1, end - time.monotonic()))
            if found is not raise_again:
                del self.offers[found["id"]["value"]]
                return found
            ids = raise_again.pop()
            raise_again.clear()
            for i in ids:
                self.offers.pop(i, None)
            self.call("DECLINE", offer_ids=[{"value": i} for i in ids], filters={"refuse_seconds": 0.2})

    def accept(self, offer, *operations, refuse=0.0):
        self.call("ACCEPT", offer_ids=[offer["id"]], operations=list(operations), filters={"refuse_seconds": refuse})

    def launch(self, offer, command, resources, **more):
        task = {"name": "task", "task_id": {"value": f"task-{uuid.uuid4()}"}, "agent_id": offer["agent_id"],
                "resources": resources, "command": {"value": command}} | more
        return {"type": "LAUNCH", "launch": {"task_infos": [task]}}, task["task_id"]["value"]

    # -- what became of tasks and operations

    def take(self, matches, what, bound=30):
        """The first event that matches, taken out."""
        def found():
            event = next((e for e in self.events if matches(e)), None)
            if event:
                self.events.remove(event)
            return event
        return self.wait(found, what, bound)

    def task_state(self, task, state, bound=30):
        """Acknowledges updates of the task up to the one of the state, which it returns."""
        while True:
            event = self.take(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == task,
                              f"{state} of {task}", bound)
            status = event["update"]["status"]
            if "uuid" in status:
                self.call("ACKNOWLEDGE", agent_id=status["agent_id"], task_id=status["task_id"], uuid=status["uuid"])
            if status["state"] == state:
                return status
            assert status["state"] in ("TASK_STARTING", "TASK_RUNNING"), status

    def operation(self, operation_id, state="OPERATION_FINISHED", acknowledge=True, bound=30):
        event = self.take(lambda e: e["type"] == "UPDATE_OPERATION_STATUS" and
                          e["update_operation_status"]["status"]["operation_id"]["value"] == operation_id,
                          f"the end of operation {operation_id}", bound)
        status = event["update_operation_status"]["status"]
        assert status["state"] == state, status
        if acknowledge and "uuid" in status:
            self.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], operation_id=status["operation_id"],
                      uuid=status["uuid"]["value"])
        return status

    def close(self):
        self.stopped = True
        if self.stream_id:
            self.call("TEARDOWN")
        self.thread.join(30)


def reserve(*resources, id=None):
    return _operation("RESERVE", {"resources": list(resources)}, id)


def unreserve(*resources, id=None):
    return _operation("UNRESERVE", {"resources": list(resources)}, id)


def create(*volumes, id=None):
    return _operation("CREATE", {"volumes": list(volumes)}, id)


def destroy(*volumes, id=None):
    return _operation("DESTROY", {"volumes": list(volumes)}, id)


def grow(volume, addition, id=None):
    return _operation("GROW_VOLUME", {"volume": volume, "addition": addition}, id)


def shrink(volume, megabytes, id=None):
    return _operation("SHRINK_VOLUME", {"volume": volume, "subtract": {"value": megabytes}}, id)


def _operation(kind, body, operation_id):
    return {"type": kind, kind.lower(): body} | ({"id": {"value": operation_id}} if operation_id else {})
