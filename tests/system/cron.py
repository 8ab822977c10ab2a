# SPDX-License-Identifier: Apache-2.0
"""A batch scheduler of the test's own, beside that of the cluster: with options, and to be killed without being started again."""
import subprocess
import time

import requests

from conftest import MUSTER, free_ports, pid_ends


class Cron:
    def __init__(self, cluster, *options):
        self.cluster, self.options, self.process, self.is_settled = cluster, list(options), None, False
        self.work_dir = cluster.dir / "cron-by-hand"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = cluster.dir / "log" / "cron-by-hand.log"

    def start(self, bound=20):
        """Starts it and waits until it answers. The first time it may turn out that somebody else took the port meanwhile."""
        for _ in range(5):
            if self.launch(bound):
                self.is_settled = True
                return self
            self.port = free_ports(1)[0]
            self.url = f"http://127.0.0.1:{self.port}"
        raise AssertionError("no free port\n" + self.log.read_text(errors="replace")[-3000:])

    def launch(self, bound):
        master = self.cluster.master.removeprefix("http://")
        arguments = ["cron", "--master", master, "--work_dir", self.work_dir, "--http_address", "127.0.0.1",
                     "--http_port", self.port, "--hostname", "127.0.0.1", *self.options]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([MUSTER, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + bound
        while True:
            if self.process.poll() is not None:
                text = self.log.read_text(errors="replace")[-3000:]
                assert "in use" in text and not self.is_settled, text
                return False
            try:
                if requests.get(self.url + "/ping", timeout=5).status_code == 200:
                    return True
            except requests.RequestException:
                pass
            assert time.monotonic() < end, "cron does not answer\n" + self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.05)  # nobody tells when a port is listened on

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=20)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        if not pid_ends(self.process.pid, 20):
            self.process.kill()
        self.process.wait(timeout=20)

    def __call__(self, method, path, body=None, **more):
        return requests.request(method, self.url + path, json=body, timeout=30, **more)
