# SPDX-License-Identifier: Apache-2.0
"""The wire of the Mesos v1 APIs as a stranger speaks it: HTTP by hand over a socket, records by hand, JSON by Python's
library, protobuf by Google's. Nothing of ours but the .proto files takes part, and it checks what a lenient client would
not notice: each record of a stream is one HTTP chunk, JSON is ASCII without raw newlines, lengths are right."""
import base64
import importlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from google.protobuf.descriptor import FieldDescriptor as Field

ROOT = pathlib.Path(__file__).resolve().parents[2]


class WireError(AssertionError):
    """What came is not HTTP, RecordIO or JSON as Mesos speaks it."""


# -- messages ----------------------------------------------------------------------------------------------------------

def compile_protos():
    """Python modules of proto/mesos, made anew: the files under test are those of the tree."""
    out = tempfile.mkdtemp(prefix="muster-proto-")
    files = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto/mesos").rglob("*.proto"))
    subprocess.run(["protoc", f"-I{ROOT}/proto", "-I/usr/include", f"--python_out={out}", *files], check=True, timeout=60)
    sys.path.insert(0, out)
    return {name: importlib.import_module(f"mesos.v1.{name}_pb2") for name in ("scheduler", "executor", "master", "agent")}


def _is_map(field):
    """Our .proto files write maps as the entries that they are on the wire; JSON shows objects."""
    return field.message_type is not None and field.message_type.name.endswith("Entry") and \
        [f.name for f in field.message_type.fields] == ["key", "value"]


def to_dict(message):
    """A protobuf message as Mesos' JSON shows it (facts: mesos 0.4): names, 64-bit numbers as numbers, base64, and what
    is not set left out, but for scalars that declare a default and are not deprecated."""
    out = {}
    for field in message.DESCRIPTOR.fields:
        if _is_map(field):
            of = field.message_type.fields_by_name["value"]
            if getattr(message, field.name):
                out[field.name] = {e.key: _value_out(of, e.value) for e in getattr(message, field.name)}
        elif field.label == Field.LABEL_REPEATED:
            if getattr(message, field.name):
                out[field.name] = [_value_out(field, v) for v in getattr(message, field.name)]
        elif message.HasField(field.name) or (field.has_default_value and not field.GetOptions().deprecated
                                              and field.message_type is None):
            out[field.name] = _value_out(field, getattr(message, field.name))
    return out


def _value_out(field, value):
    if field.message_type is not None:
        return to_dict(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return base64.b64encode(value).decode() if field.type == Field.TYPE_BYTES else value


def from_dict(message, fields):
    for name, value in fields.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            continue
        if _is_map(field):
            for k, v in value.items():
                from_dict(getattr(message, name).add(), {"key": k, "value": v})
        elif field.label == Field.LABEL_REPEATED:
            for v in value:
                if field.message_type is not None:
                    from_dict(getattr(message, name).add(), v)
                else:
                    getattr(message, name).append(_value_in(field, v))
        elif field.message_type is not None:
            getattr(message, name).SetInParent()
            from_dict(getattr(message, name), value)
        else:
            setattr(message, name, _value_in(field, value))
    return message


def _value_in(field, value):
    if field.enum_type is not None:
        return field.enum_type.values_by_name[value].number
    return base64.b64decode(value) if field.type == Field.TYPE_BYTES else value


class Json:
    name, media = "json", "application/json"

    @staticmethod
    def encode(_type, fields):
        return json.dumps(fields).encode()

    @staticmethod
    def decode(_type, body):
        if not body.isascii() or b"\n" in body or b"\r" in body:
            raise WireError(f"JSON with raw newlines or beyond ASCII: {body[:200]!r}")
        return json.loads(body, parse_constant=_refuse_constant)


def _refuse_constant(name):
    raise WireError(f"{name} is no JSON")


class Protobuf:
    name, media = "protobuf", "application/x-protobuf"

    @staticmethod
    def encode(type_, fields):
        return from_dict(type_(), fields).SerializePartialToString()

    @staticmethod
    def decode(type_, body):
        message = type_()
        message.ParseFromString(body)  # raises when a required field is missing
        return to_dict(message)


ENCODINGS = {"json": Json, "protobuf": Protobuf}


# -- HTTP --------------------------------------------------------------------------------------------------------------

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name.lower())

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]!r}"


class Connection:
    """One request over one socket; every wait is bounded."""

    def __init__(self, address, bound=15):
        self.socket = socket.create_connection(address, timeout=bound)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.bound = bound

    def send(self, method, path, headers=(), body=None, chunks=None):
        headers = dict(headers)
        lines = [f"{method} {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items()]
        lowered = {k.lower() for k in headers}
        if "host" not in lowered:
            lines.append("Host: conformance")
        if chunks is not None:
            lines.append("Transfer-Encoding: chunked")
            body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        elif body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.socket.settimeout(left)
        got = self.socket.recv(65536)
        if not got:
            raise EOFError("the connection was closed")
        self.buffer += got

    def _until(self, mark, end):
        while mark not in self.buffer:
            self._fill(end)
        line, _, self.buffer = self.buffer.partition(mark)
        return line

    def _exactly(self, count, end):
        while len(self.buffer) < count:
            self._fill(end)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        end = time.monotonic() + self.bound
        lines = self._until(b"\r\n\r\n", end).decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        if version != "HTTP/1.1":
            raise WireError(lines[0])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "date" not in headers:
            raise WireError("an answer without Date")
        return int(status), headers

    def chunk(self, bound):
        """The next chunk, None at the end of the body."""
        end = time.monotonic() + bound
        size = int(self._until(b"\r\n", end), 16)
        data = self._exactly(size + 2, end)
        if data[-2:] != b"\r\n":
            raise WireError("a chunk of another length than it says")
        return data[:-2] if size else None

    def answer(self, is_head=False, may_be_chunked=False):
        status, headers = self.head()
        if may_be_chunked and headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join(iter(lambda: self.chunk(self.bound), None)))
        if headers.get("transfer-encoding") == "chunked":
            raise WireError(f"a stream where an answer was expected: {status} {headers}")
        if "content-length" not in headers:
            raise WireError("an answer without Content-Length")
        length = 0 if is_head else int(headers["content-length"])
        return Answer(status, headers, self._exactly(length, time.monotonic() + self.bound))

    def close(self):
        self.socket.close()


def ask(address, method, path, headers=(), body=None, chunks=None, may_be_chunked=False):
    connection = Connection(address)
    try:
        connection.send(method, path, headers, body, chunks)
        return connection.answer(method == "HEAD", may_be_chunked)
    finally:
        connection.close()


class Stream:
    """A streaming answer. `next` gives one record, decoded; None when the server ended the stream properly."""

    def __init__(self, address, path, headers, body, encoding, event_type):
        self.connection = Connection(address)
        self.encoding, self.event_type = encoding, event_type
        self.connection.send("POST", path, headers, body)
        self.status, self.headers = self.connection.head()
        self.refusal = None
        if self.status != 200:
            length = int(self.headers["content-length"])
            body = self.connection._exactly(length, time.monotonic() + 15)
            self.refusal = Answer(self.status, self.headers, body)
            return
        if self.headers.get("transfer-encoding") != "chunked" or "content-length" in self.headers:
            raise WireError(f"not a stream: {self.headers}")
        if self.headers.get("content-type") != encoding.media:
            raise WireError(f"Content-Type {self.headers.get('content-type')} instead of {encoding.media}")
        if "content-encoding" in self.headers:
            raise WireError("a compressed stream")

    def next(self, bound=15):
        try:
            chunk = self.connection.chunk(bound)
        except (EOFError, ConnectionError):
            return None
        if chunk is None:
            return None
        length, mark, record = chunk.partition(b"\n")
        if not mark or not length.isdigit() or int(length) != len(record):
            raise WireError(f"a chunk that is not one record: {chunk[:120]!r}")
        return self.encoding.decode(self.event_type, record)

    def close(self):
        self.connection.close()
