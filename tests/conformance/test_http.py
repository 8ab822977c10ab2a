# SPDX-License-Identifier: Apache-2.0
"""Paths, methods, media types and headers, the same for all HTTP APIs of master and agent (facts: mesos 0.1-0.3, 0.5, 0.7)."""
import gzip
import json
import zlib

import pytest

import mesos_wire as wire
from frame import ABSENT, ANY, Do, Http, Re, Row, cases, run_row

ONCE = ("json",)
JSON = {"Content-Type": "application/json"}
HEALTH = b'{"type":"GET_HEALTH"}'
HEALTHY = {"type": "GET_HEALTH", "get_health": {"healthy": True}}
SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x"}}}'
NODES = ("master", "agent")
PREFIX = {"master": "/master", "agent": "/slave(1)"}
APIS = (("master", "/api/v1"), ("master", "/api/v1/scheduler"), ("agent", "/api/v1"), ("agent", "/api/v1/executor"))


def row(fact, says, *steps):
    return Row(fact, says, list(steps), encodings=ONCE)


def compressed(path, node, accept_encoding, is_wanted):
    """Whether a body of this path comes compressed; then it must be the same as the plain one but for what changes."""
    def check(context):
        address = context.nodes.address(node)
        got = wire.ask(address, "GET", path, {"Accept-Encoding": accept_encoding} if accept_encoding is not None else {})
        assert got.status == 200, got
        assert (got.header("content-encoding") == "gzip") == is_wanted, got.headers
        body = gzip.decompress(got.body) if is_wanted else got.body
        if body:
            json.loads(body)
    return Do(check)


def bomb(node):
    """A compressed body is not a JSON call for Mesos; it must not be unpacked without end either."""
    return Http("POST", "/api/v1", 400, node, {**JSON, "Content-Encoding": "gzip"}, send=zlib.compress(b"\0" * 10_000_000))


def keeps_alive(node):
    def check(context):
        connection = wire.Connection(context.nodes.address(node))
        try:
            for path, status in (("/health", 200), ("/nothing", 404), ("/version", 200), ("/health", 200)):
                connection.send("GET", path)
                assert connection.answer().status == status
            connection.send("POST", "/api/v1", JSON, HEALTH)
            assert json.loads(connection.answer().body) == HEALTHY
        finally:
            connection.close()
    return Do(check)


def pipelined(node):
    def check(context):
        connection = wire.Connection(context.nodes.address(node))
        try:
            connection.socket.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
            assert [connection.answer().status for _ in range(2)] == [200, 404]
        finally:
            connection.close()
    return Do(check)


def closes(node):
    def check(context):
        connection = wire.Connection(context.nodes.address(node))
        try:
            connection.send("GET", "/health", {"Connection": "close"})
            assert connection.answer().status == 200
            assert connection.socket.recv(1) == b""
        finally:
            connection.close()
    return Do(check)


PATHS = [
    *[row("0.1", f"{node}: {prefix or 'no prefix'}{path}{tail} is served", Http("GET", prefix + path + tail, 200, node))
      for node in NODES for path in ("/state", "/version", "/flags", "/metrics/snapshot", "/health")
      for prefix in ("", PREFIX[node]) for tail in ("", "/")],
    *[row("0.1", f"{node}: {prefix or 'no prefix'}{path}{tail} is the operator API",
          Http("POST", prefix + path + tail, 200, node, JSON, HEALTH, json=HEALTHY))
      for node in NODES for prefix in ("", PREFIX[node]) for path in ("/api/v1",)
      for tail in ("", "/", "/operator", "/operator/", "/a/b/c")],
    row("13.1", "/master/frameworks/ is /frameworks", Http("GET", "/master/frameworks/", 200, json={"frameworks": ANY})),
    row("0.1", "master: the prefix may be given with each read endpoint", *[Http("GET", "/master" + p, 200) for p in (
        "/slaves", "/tasks", "/roles", "/state-summary", "/frameworks")]),
    row("0.1", "the scheduler API falls back as well", Http("POST", "/api/v1/scheduler/x", 400, headers=JSON, send=b"{}")),
    row("0.1", "the prefixed scheduler API", Http("POST", "/master/api/v1/scheduler", 400, headers=JSON, send=b"{}")),
    row("0.1", "the prefixed executor API", Http("POST", "/slave(1)/api/v1/executor", 400, "agent", JSON, send=b"{}")),
    row("0.1", "agent: the prefix may be percent-encoded", Http("GET", "/slave%281%29/state", 200, "agent")),
    *[row("0.1", f"{node}: an unknown path is 404: {path}", Http("GET", path, 404, node))
      for node in NODES for path in ("/nothing", "/nothing/state", "/api", "/api/v2", "//", "/master2/state")],
    row("5.1", "nothing is below /redirect", Http("GET", "/redirect/x", 404), Http("GET", "/master/redirect/x", 404)),
    *[row("0.1", f"{node}: a query does not change the path", Http("GET", "/version?x=/state", 200, node, json={"version": ANY}))
      for node in NODES],
]

METHODS = [
    *[row("0.2", f"{node}: {method} {path} is 405 with Allow: POST", Http(method, path, 405, node, has={"allow": "POST"}))
      for node, path in APIS for method in ("GET", "PUT", "DELETE")],
    *[row("0.2", f"{node}: HEAD {path} is 405", Http("HEAD", path, 405, node, has={"allow": "POST"})) for node, path in APIS],
    *[row("0.3", f"{node}: the text of a 405 of {path} names both methods", Http("PUT", path, 405, node, body=Re("POST.*PUT")))
      for node, path in APIS],
    row("0.7", "/teardown by GET is 405", Http("GET", "/teardown", 405, has={"allow": "POST"})),
    *[row("0.7", f"{node}: {path} answers any method like GET", Http("POST", path, 200, node), Http("PUT", path, 200, node))
      for node, path in (("master", "/state"), ("master", "/slaves"), ("master", "/health"), ("master", "/version"),
                         ("master", "/tasks"), ("agent", "/state"), ("agent", "/health"), ("agent", "/version"))],
]

TYPES = [
    *[row("0.3", f"{node}: {path} without Content-Type is 400", Http("POST", path, 400, node, send=HEALTH)) for node, path in APIS],
    *[row("0.2", f"{node}: {path} with Content-Type {media} is 415", Http("POST", path, 415, node, {"Content-Type": media}, HEALTH))
      for node, path in APIS
      for media in ("application/json; charset=utf-8", "application/json;charset=utf-8", "APPLICATION/JSON", "text/plain",
                    "application/x-www-form-urlencoded", "application/protobuf", "json")],
    row("4.1", "the executor API does not take recordio",
        Http("POST", "/api/v1/executor", 415, "agent", {"Content-Type": "application/recordio"}, b"")),
    row("4.1", "the master does not take recordio",
        Http("POST", "/api/v1", 415, "master", {"Content-Type": "application/recordio"}, b"")),
    *[row("0.3", f"{node}: {path} with a body that is not JSON is 400: {body}", Http("POST", path, 400, node, JSON, body))
      for node, path in APIS for body in (b"", b"{", b"null", b"[]", b"7", b'"x"', b"{}{}", b'{"type":"GET_HEALTH"} x', b"\xff")],
    *[row("0.3", f"{node}: {path} with a body that is not protobuf is 400",
          Http("POST", path, 400, node, {"Content-Type": "application/x-protobuf"}, b"\xff\xff\xff"),
          Http("POST", path, 400, node, {"Content-Type": "application/x-protobuf"}, HEALTH)) for node, path in APIS],
    *[row("0.3", f"{node}: {path} looks at the method before the Content-Type", Http("PUT", path, 405, node)) for node, path in APIS],
    *[row("0.3", f"{node}: {path} looks at the Content-Type before the body",
          Http("POST", path, 415, node, {"Content-Type": "a/b"}, b"{")) for node, path in APIS],
    *[row("0.3", f"{node}: {path} looks at the body before Accept",
          Http("POST", path, 400, node, {**JSON, "Accept": "text/plain"}, b"{")) for node, path in APIS],
    *[row("0.3", f"{node}: a text is all there is in a refusal of {path}",
          Http("POST", path, 400, node, JSON, b"{", has={"content-type": "text/plain; charset=utf-8", "transfer-encoding": ABSENT}))
      for node, path in APIS],
]


def accepts(accept, wanted):
    """The type that GET_HEALTH comes in; None: 406."""
    headers = JSON if accept is None else {**JSON, "Accept": accept}
    if wanted is None:
        return [Http("POST", "/api/v1", 406, node, headers, HEALTH) for node in NODES]
    return [Http("POST", "/api/v1", 200, node, headers, HEALTH, has={"content-type": "application/" + wanted}) for node in NODES]


ACCEPT = [row("0.2", f"Accept {accept!r} is {wanted or 406}", *accepts(accept, wanted)) for accept, wanted in (
    (None, "json"), ("*/*", "json"), ("application/*", "json"), ("application/json", "json"), ("APPLICATION/JSON", "json"),
    ("application/x-protobuf", "x-protobuf"), ("Application/X-Protobuf", "x-protobuf"),
    ("application/x-protobuf, application/json", "json"), ("text/html, application/x-protobuf", "x-protobuf"),
    ("text/html, */*;q=0.1", "json"), ("application/json;q=0, */*", "x-protobuf"), ("application/x-protobuf;q=0, */*", "json"),
    ("application/json;q=0, application/x-protobuf;q=0", None), ("application/json;q=0", None), ("*/*;q=0", None), ("", None),
    ("text/plain", None), ("text/*", None), ("application/xml, image/*", None))]

FRAMING = [
    *[row("0.2", f"{node}: a body in chunks is taken", Http("POST", "/api/v1", 200, node, JSON,
                                                           chunks=[HEALTH[:1], HEALTH[1:10], HEALTH[10:]], json=HEALTHY))
      for node in NODES],
    row("13.1", "a scheduler's call in chunks is taken", Http("POST", "/api/v1/scheduler", 400, headers=JSON, chunks=[b"{", b"}"])),
    *[row("0.2", f"{node}: a connection serves one request after the other", keeps_alive(node)) for node in NODES],
    *[row("0.2", f"{node}: requests sent at once are answered in order", pipelined(node)) for node in NODES],
    *[row("0.2", f"{node}: Connection: close ends it after the answer", closes(node)) for node in NODES],
    *[row("0.2", f"{node}: an answer without body has Content-Length 0 and no Content-Type", Http(
        "GET", "/health", 200, node, has={"content-length": "0", "content-type": ABSENT})) for node in NODES],
    *[row("0.2", f"{node}: a query's answer has Content-Length and no parameter in its type", Http(
        "POST", "/api/v1", 200, node, JSON, HEALTH, has={"content-type": "application/json", "content-length": ANY,
                                                         "transfer-encoding": ABSENT})) for node in NODES],
    *[row("0.2", f"{node}: a body of 1 KiB or more is compressed for who asks: {value!r} {wanted}",
          compressed("/metrics/snapshot", node, value, wanted))
      for node in NODES for value, wanted in (("gzip", True), ("gzip, deflate", True), ("deflate, gzip;q=0.5", True), ("*", True),
                                              (None, False), ("", False), ("identity", False), ("gzip;q=0", False),
                                              ("deflate", False), ("xgzip", False))],
    *[row("0.2", f"{node}: a small body is never compressed", compressed("/health", node, "gzip", False)) for node in NODES],
    *[row("0.2", f"{node}: a compressed request is no call", bomb(node)) for node in NODES],
    *[row("0.2", f"{node}: HTTP/1.0 is answered", Do(lambda context, node=node: old_client(context, node))) for node in NODES],
]


def old_client(context, node):
    connection = wire.Connection(context.nodes.address(node))
    try:
        connection.socket.sendall(b"GET /version HTTP/1.0\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 200 and "version" in json.loads(answer.body)
        assert connection.socket.recv(1) == b"", "a client of HTTP/1.0 that did not ask for more is let go"
    finally:
        connection.close()


HOSTILE = [
    *[row("0.2", f"{node}: {what} is refused and the next request served",
          Do(lambda context, node=node, data=data: refused(context, node, data)))
      for node in NODES for what, data in (
          ("a line that is no request", b"hello\r\n\r\n"),
          ("another protocol's version", b"GET / HTTP/2.0\r\n\r\n"),
          ("two lengths that differ", b"POST /api/v1 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
          ("a length and chunks together", b"POST /api/v1 HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
          ("a negative length", b"POST /api/v1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
          ("a chunk without a size", b"POST /api/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
          ("a NUL in a header", b"GET /health HTTP/1.1\r\nX: a\0b\r\n\r\n"),
          ("a header that goes on in the next line", b"GET /health HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
          ("a head of a megabyte", b"GET /health HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"))],
]


def refused(context, node, data):
    connection = wire.Connection(context.nodes.address(node))
    try:
        connection.socket.sendall(data)
        status, _ = connection.head()
        assert 400 <= status < 600, status
    except (EOFError, ConnectionError):
        pass  # no answer at all is a refusal, too
    finally:
        connection.close()
    assert wire.ask(context.nodes.address(node), "GET", "/health").status == 200


@pytest.mark.parametrize("row, encoding", cases(PATHS + METHODS + TYPES + ACCEPT + FRAMING + HOSTILE))
def test_http(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
