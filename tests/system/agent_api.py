# SPDX-License-Identifier: Apache-2.0
"""A small client of the agent's operator API, for the tests: calls, and the streams of sessions and attachments."""
import base64
import http.client
import json
import socket
import threading
import uuid

import requests


class Agent:
    def __init__(self, cluster, name="agent-1"):
        self.address = cluster.role(name)["address"]
        self.url = f"http://{self.address}/api/v1"

    def call(self, kind, **fields):
        body = {"type": kind}
        if fields:
            body[kind.lower()] = fields
        return requests.post(self.url, json=body, timeout=60)

    def containers(self, **fields):
        answer = self.call("GET_CONTAINERS", **fields).json()
        return answer["get_containers"].get("containers", [])

    def container_of(self, task_id):
        """The container of a command task: that of its executor, which has the task's id."""
        return next(c["container_id"] for c in self.containers() if c["executor_id"]["value"] == task_id)

    def session(self, parent, command, tty=False, headers=None, **more):
        container = {"value": str(uuid.uuid4()), "parent": parent}
        body = {"container_id": container, "command": command if isinstance(command, dict) else {"value": command}}
        if tty:
            body["container"] = {"type": "MESOS", "tty_info": {}}
        body.update(more)
        call = {"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": body}
        return Stream(self, call, container, headers)

    def attach_output(self, container):
        return Stream(self, {"type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": {"container_id": container}},
                      container)

    def attach_input(self, container):
        return Input(self, container)

    def run(self, parent, command, data=None, **options):
        """Runs a command in a container to its end: (exit status, stdout, stderr)."""
        stream = self.session(parent, command, **options)
        assert stream.status == 200, stream.text()
        waiter, answers = [], []

        def feed():
            """The request is ended, not cut off: what is under way in one that breaks is lost."""
            with self.attach_input(stream.container) as given:
                given.data(data)
                given.data(b"")
                answers.append(given.end()[0])

        threads = [threading.Thread(target=lambda: waiter.append(self.wait(stream.container)))]
        if data is not None:
            threads.append(threading.Thread(target=feed))
        for thread in threads:
            thread.start()
        out = stream.read()
        for thread in threads:
            thread.join(30)
        assert answers == ([] if data is None else [200])
        return waiter[0].get("exit_status"), out[0], out[1]

    def wait(self, container):
        answer = self.call("WAIT_CONTAINER", container_id=container)
        assert answer.status_code == 200, answer.text
        return answer.json()["wait_container"]


class Stream:
    """An answer of ProcessIO records."""

    def __init__(self, agent, call, container, headers=None):
        self.container = container
        self.connection = http.client.HTTPConnection(agent.address, timeout=60)
        self.connection.request("POST", "/api/v1", json.dumps(call),
                                {"Content-Type": "application/json", "Accept": "application/json"} | (headers or {}))
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def text(self):
        return self.answer.read().decode()

    def records(self):
        while True:
            length = b""
            while not length.endswith(b"\n"):
                byte = self.answer.read(1)
                if not byte:
                    return
                length += byte
            yield json.loads(self.answer.read(int(length)))

    def pieces(self):
        for record in self.records():
            if record["type"] == "DATA":
                yield record["data"]["type"], base64.b64decode(record["data"]["data"])

    def read(self):
        """(stdout, stderr) to the end."""
        out = {"STDOUT": b"", "STDERR": b""}
        for kind, data in self.pieces():
            out[kind] += data
        self.close()
        return out["STDOUT"], out["STDERR"]

    def read_until(self, marker):
        out = b""
        for _, data in self.pieces():
            out += data
            if marker in out:
                return out
        raise AssertionError(f"{marker} did not come: {out}")

    def close(self):
        self.answer.close()  # with Connection: close the socket is the answer's
        self.connection.close()


class Input:
    """A request whose body goes on."""

    def __init__(self, agent, container=None, content_type="application/recordio", message_type="application/json"):
        host, port = agent.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        head = f"POST /api/v1 HTTP/1.1\r\nHost: {agent.address}\r\nTransfer-Encoding: chunked\r\n"
        head += f"Content-Type: {content_type}\r\n"
        if message_type:
            head += f"Message-Content-Type: {message_type}\r\n"
        self.socket.sendall(head.encode() + b"\r\n")
        if container:
            self.send({"type": "CONTAINER_ID", "container_id": container})

    def raw(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def record(self, text):
        self.raw(b"%d\n%s" % (len(text), text))

    def send(self, fields):
        self.record(json.dumps({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": fields}).encode())

    def io(self, fields):
        self.send({"type": "PROCESS_IO", "process_io": fields})

    def data(self, data, kind="STDIN"):
        for at in range(0, len(data), 65536) or [0]:
            piece = base64.b64encode(data[at:at + 65536]).decode()
            self.io({"type": "DATA", "data": {"type": kind, "data": piece}})

    def window(self, rows, columns):
        self.io({"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": {
            "window_size": {"rows": rows, "columns": columns}}}})

    def heartbeat(self):
        self.io({"type": "CONTROL", "control": {"type": "HEARTBEAT", "heartbeat": {"interval": {"nanoseconds": 1}}}})

    def end(self):
        self.socket.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self):
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return answer.status, answer.read().decode()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
