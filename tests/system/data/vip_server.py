# SPDX-License-Identifier: Apache-2.0
"""A service as one should be: HTTP at each port of PORT0.. whose number is given, and at the end it serves on until
nobody comes any more. The first argument goes into every answer, the others are `tcp` or `udp`, one a port."""
import os
import select
import signal
import socket
import sys
import time

QUIET, LONGEST = 0.5, 3.0
version, protocols = sys.argv[1], sys.argv[2:] or ["tcp"]
ending = None


def on_term(signo, frame):
    global ending
    ending = ending or time.monotonic()


def answer(connection, port):
    connection.settimeout(2)
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = connection.recv(4096)
            if not more:
                return
            data += more
        body = f"{version} {port}".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except OSError:
        pass
    finally:
        connection.close()


signal.signal(signal.SIGTERM, on_term)
sockets = {}
for i, protocol in enumerate(protocols):
    port = int(os.environ[f"PORT{i}"])
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    if protocol == "tcp":
        s.listen(1024)
    s.setblocking(False)
    sockets[s] = (protocol, port)
last = time.monotonic()
while True:
    now = time.monotonic()
    if ending and (now - max(last, ending) > QUIET or now - ending > LONGEST):
        sys.exit(0)
    for s in select.select(list(sockets), [], [], 0.1)[0]:
        protocol, port = sockets[s]
        last = time.monotonic()
        try:
            if protocol == "tcp":
                answer(s.accept()[0], port)
            else:
                data, peer = s.recvfrom(4096)
                s.sendto(f"{version} {port}".encode(), peer)
        except OSError:
            pass
