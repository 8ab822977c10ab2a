# SPDX-License-Identifier: Apache-2.0
"""The command line without a cluster: statuses and messages."""
import subprocess

import pytest

from conftest import MUSTER


def muster(*arguments):
    return subprocess.run([MUSTER, *arguments], capture_output=True, text=True, timeout=20)


def test_version_and_help():
    assert muster("version").stdout.startswith("muster ")
    assert "usage: muster" in muster("--help").stdout
    for command in ("up", "down", "status", "app", "task", "node", "master", "agent", "marathon", "cron"):
        done = muster(command, "--help")
        assert done.returncode == 0 and "usage" in done.stdout.lower(), command


@pytest.mark.parametrize("arguments, status, text", [
    ((), 2, "usage"),
    (("nonsense",), 2, "no command 'nonsense'"),
    (("up", "--nonsense"), 2, "nonsense"),
    (("up", "--agents", "many"), 2, "agents"),
    (("up", "--masters", "3", "--zk", "zk://127.0.0.1:2181/x"), 1, "not built yet"),
    (("cron",), 2, "--master"),
    (("app", "fly"), 2, "usage"),
    (("app", "scale", "/x", "few"), 2, "few"),
    (("app", "list", "--dir", "/nonexistent/x"), 1, "no cluster in /nonexistent/x"),
    (("status", "--dir", "/nonexistent/x"), 1, "muster up"),
    (("down", "--dir", "/nonexistent/x"), 1, "no cluster"),
    (("app", "list", "--marathon", "127.0.0.1:1"), 1, "127.0.0.1:1"),
    (("app", "add", "/nonexistent/x.json"), 1, "/nonexistent/x.json"),
    (("agent", "--master", "zk://127.0.0.1/x", "--work_dir", "/tmp/x"), 1, "zk"),
])
def test_errors_name_the_object(arguments, status, text):
    done = muster(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert text in done.stdout + done.stderr


@pytest.mark.parametrize("ip, warned", [("127.0.0.1", False), ("0.0.0.0", True)])
def test_master_warns_when_strangers_reach_it(tmp_path, ip, warned):
    master = subprocess.Popen([MUSTER, "master", "--ip", ip, "--port", "0", "--work_dir", tmp_path], stderr=subprocess.PIPE,
                              text=True)
    lines = []
    for line in master.stderr:
        lines.append(line)
        if "serves at" in line:
            break
    master.terminate()
    master.communicate(timeout=10)
    assert any("without authentication" in line for line in lines) == warned, lines
