# SPDX-License-Identifier: Apache-2.0
"""A client that others wrote and that knows nothing of us: the npm package mesos-framework, scheduler and executor (facts: mesos
13.2). The package is installed into the build directory, in the version and with the digests that the lock file names."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import mesos_wire as wire

HERE = pathlib.Path(__file__).parent / "foreign"
INSTALLED = pathlib.Path(os.environ.get("MUSTER_FOREIGN_DIR", wire.ROOT / "build/foreign"))
NO_REGISTRY = r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|network (request|timeout)|EIDLETIMEOUT"


@pytest.fixture(scope="module")
def package():
    """Where the package is; installing it again is left out when the lock file is the one installed."""
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = INSTALLED / "installed-lock.json"
    if not stamp.exists() or stamp.read_bytes() != lock:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        INSTALLED.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, INSTALLED)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=INSTALLED, capture_output=True,
                              text=True, timeout=300)
        if done.returncode != 0 and re.search(NO_REGISTRY, done.stderr):
            pytest.skip("no npm registry can be reached, mesos-framework is not installed: " + done.stderr.splitlines()[0])
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.write_bytes(lock)
    for program in HERE.glob("*.js"):
        shutil.copy(program, INSTALLED)
    return INSTALLED


def run(package, nodes, tmp_path, *arguments):
    host, port = nodes.address("master")
    done = subprocess.run(["node", "--no-deprecation", str(package / "scheduler.js"), host, str(port), *arguments],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "NODE_PATH": str(package / "node_modules")})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said + nodes.logs() + sandboxes(nodes)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], said


def sandboxes(nodes):
    return "".join(f"--- {p}\n{p.read_text(errors='replace')[-2000:]}" for p in nodes.work_dir.glob(
        "slaves/*/frameworks/*/executors/*/runs/*/std*"))


def states(seen):
    return [s["state"] for s in seen if s["what"] == "update"]


def test_command_task(package, nodes, tmp_path):
    seen, said = run(package, nodes, tmp_path, "command")
    assert states(seen) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], said
    assert all(s["source"] == "SOURCE_EXECUTOR" for s in seen if s["what"] == "update"), said
    assert seen[-1]["what"] == "torn down", said


def test_custom_executor(package, nodes, tmp_path):
    seen, said = run(package, nodes, tmp_path, "executor", str(package / "executor.js"))
    assert states(seen) == ["TASK_RUNNING", "TASK_FINISHED"], said
    assert [s["data"] for s in seen if s["what"] == "message"] == ["from the executor"], said
    assert seen[-1]["what"] == "torn down", said
