# SPDX-License-Identifier: Apache-2.0
"""Garbage, oversized, half and slow requests on every port: an error or a closed connection, flat memory, others are served."""
import pathlib
import socket

import pytest
import requests

ROLES = ["master", "agent-1", "marathon"]
DEEP = b"[" * 100000 + b"]" * 100000


def address(cluster, role):
    host, port = cluster.role(role)["address"].rsplit(":", 1)
    return host, int(port)


def rss_kb(cluster, role):
    text = pathlib.Path(f"/proc/{cluster.role(role)['pid']}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def exchange(where, data, bound=15):
    """Sends bytes and reads until the other side closes or has sent a whole head; returns what came."""
    with socket.create_connection(where, timeout=bound) as s:
        received = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                received += chunk
        except OSError:
            pass
        return received


def request(path, body=b"", content_type=b"application/json", extra=b""):
    return (b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + content_type + b"\r\n" + extra
            + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)


BAD = {
    "garbage": b"\x00\xff\xfe garbage \r\n\r\n" * 50,
    "no version": b"GET /\r\n\r\n",
    "half head": b"GET / HTTP/1.1\r\nHost: x\r\nX-",
    "long line": b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n",
    "bad length": b"POST /api/v1 HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    "two lengths": b"POST /api/v1 HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length and chunks": b"POST /api/v1 HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /api/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nxx\r\n0\r\n\r\n",
    "bad escape": b"GET /%zz%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "huge body announced": b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    "tls hello": bytes.fromhex("16030100c8010000c40303") + b"\x01" * 200,
    "frames without upgrade": b"\x00\x00\x00\x05hello" * 100,
    "upgrade then rubbish": b"GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: muster-link/1\r\n\r\n\xff\xff\xff\xff" + b"x" * 1000,
}
for path in (b"/api/v1", b"/api/v1/scheduler", b"/api/v1/executor", b"/v2/apps", b"/v2/groups", b"/v2/tasks/delete"):
    BAD["deep json " + path.decode()] = request(path, DEEP)
    BAD["not json " + path.decode()] = request(path, b'{"a":')
    BAD["wrong types " + path.decode()] = request(path, b'{"type":{"x":[1,2]},"id":7,"framework_id":[]}')
    BAD["array " + path.decode()] = request(path, b"[1,2,3]")
    BAD["bad protobuf " + path.decode()] = request(path, b"\xff" * 500, b"application/x-protobuf")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_answered_or_closed(cluster, role, name):
    where, pid = address(cluster, role), cluster.role(role)["pid"]
    received = exchange(where, BAD[name])
    if received and not received.startswith(b"HTTP/1.1 101"):
        status = int(received.split(b" ", 2)[1])
        assert 300 <= status < 600 or b"/v2" not in BAD[name], received[:300]
        assert status != 500, received[:500]
    assert cluster.role(role)["pid"] == pid
    path = "/ping" if role == "marathon" else "/health"
    assert requests.get(f"http://{where[0]}:{where[1]}{path}", timeout=10).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_memory_stays_flat_under_floods(cluster, role):
    where = address(cluster, role)
    body = request(b"/api/v1", b"x" * 4_000_000)
    exchange(where, body)
    before = rss_kb(cluster, role)
    for _ in range(30):
        exchange(where, body)
        exchange(where, BAD["many headers"])
    half_open = []
    for _ in range(300):
        s = socket.create_connection(where, timeout=10)
        s.sendall(b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        half_open.append(s)
    path = "/ping" if role == "marathon" else "/health"
    assert requests.get(f"http://{where[0]}:{where[1]}{path}", timeout=10).status_code == 200
    for s in half_open:
        s.close()
    assert rss_kb(cluster, role) < before + 16 * 1024


def test_half_request_is_cut_off(cluster):
    """A client that starts a request and stops is answered 408 or closed by the server, not kept for ever."""
    for role in ROLES:
        with socket.create_connection(address(cluster, role), timeout=30) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost")
            data = s.recv(4096)  # returns when the server answers or closes; its limit is 10 s
            assert data == b"" or b" 408 " in data
