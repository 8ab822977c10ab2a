# SPDX-License-Identifier: Apache-2.0
"""`muster job`: what a person types, what it prints, and how it ends."""
import json
import re

import pytest

from cron import Cron


@pytest.fixture(scope="module")
def cron(cluster):
    process = Cron(cluster).start()
    yield process
    process.stop()


@pytest.fixture
def job(cron):
    def run(*arguments, check=True, stdin=None):
        return cron.cluster.run("job", *arguments, "--cron", cron.url.removeprefix("http://"), check=check, stdin=stdin)
    return run


def definition(name, command="true", **more):
    return json.dumps({"id": name, "run": {"cmd": command, "cpus": 0.01, "mem": 32, "disk": 0}, **more})


NIGHTLY = [{"id": "nightly", "cron": "*/30 2 * * *", "timezone": "Europe/Rome"}]


def test_add_dry_run_shows_the_next_five_times_and_adds_nothing(job):
    done = job("add", "--dry-run", "-", stdin=definition("looked-at", schedules=NIGHTLY))
    assert "job looked-at would be added" in done.stdout
    times = re.findall(r"\d{4}-\d\d-\d\dT\d\d:(?:00|30):00\.000Z", done.stdout)
    assert len(times) == 5 and times == sorted(times)
    assert job("show", "looked-at", check=False).returncode == 1


def test_add_show_list_remove(job, tmp_path):
    file = tmp_path / "job.json"
    file.write_text(definition("kept", schedules=NIGHTLY, description="for a while"))
    done = job("add", file)
    assert "job kept added" in done.stdout and done.stdout.count("00.000Z") == 5
    assert done.stdout.count("\n") == 6
    shown = job("show", "kept").stdout
    assert '"description": "for a while"' in shown and "next runs: " in shown
    assert len(json.loads(job("show", "kept", "--json").stdout)["nextRuns"]) == 5
    lines = [line.split() for line in job("list").stdout.splitlines()]
    assert lines[0][0] == "ID" and any(line[:2] == ["kept", "scheduled"] for line in lines)
    assert any(j["id"] == "kept" for j in json.loads(job("list", "--json").stdout))
    assert job("remove", "kept").stdout == "job kept removed\n"
    done = job("remove", "kept", check=False)
    assert done.returncode == 1 and "Job not found" in done.stderr


def test_a_job_in_chronos_form(job):
    done = job("add", "-", stdin=json.dumps({"name": "Old_form", "command": "true", "schedule": "R2/2090-01-01T00:00:00Z/P1D"}))
    assert "job Old_form added" in done.stdout
    assert "2090-01-01T00:00:00.000Z" in done.stdout and "2090-01-02T00:00:00.000Z" in done.stdout and "01-03" not in done.stdout
    job("add", "-", stdin=json.dumps({"name": "child", "command": "true", "parents": ["Old_form"]}))
    assert "Old_form -> child" in job("graph").stdout
    assert {"from": "Old_form", "to": "child"} in json.loads(job("graph", "--json").stdout)
    job("remove", "child")
    job("remove", "Old_form")


def test_run_with_arguments_history_and_logs(job, cron):
    job("add", "-", stdin=definition("says", 'echo "$WHAT" and'))
    done = job("run", "says", "--arg", "more", "--env", "WHAT=one thing")
    run = re.fullmatch(r"run (\w+) of job says started\n", done.stdout).group(1)

    def ended():
        lines = [line.split() for line in job("history", "says").stdout.splitlines()]
        return [run, "says", "SUCCESS"] in [line[:3] for line in lines]
    cron.cluster.wait_until(ended, 30, "the end of the run")
    assert job("logs", run).stdout == "one thing and more\n"
    assert json.loads(job("history", "says", "--json").stdout)[0]["id"] == run
    assert run not in job("runs", "says").stdout and run in job("runs").stdout
    done = job("stop", run, check=False)
    assert done.returncode == 1 and "has ended already" in done.stderr


def test_stop_and_remove_with_runs(job, cron):
    job("add", "-", stdin=definition("stays", "sleep 1000"))
    run = json.loads(job("run", "stays", "--json").stdout)["id"]
    cron.cluster.wait_until(lambda: " ACTIVE " in job("runs", "stays").stdout, 30, "the run")
    done = job("remove", "stays", check=False)
    assert done.returncode == 1 and "active job runs" in done.stderr and "--stop" in done.stderr
    assert "is being stopped" in job("stop", run).stdout
    cron.cluster.wait_until(lambda: run not in job("runs", "stays").stdout, 30, "the end of the run")
    assert "stopped through the API" in job("history", "stays", "--json").stdout
    job("run", "stays")
    assert job("remove", "--stop", "stays").stdout == "job stays removed\n"


def test_removing_a_parent_and_the_logs_of_an_array(job, cron):
    job("add", "-", stdin=json.dumps({"id": "many", "run": {"cmd": "true", "cpus": 0.01, "mem": 32, "disk": 0, "array": {"count": 2}}}))
    job("add", "-", stdin=definition("after-many", dependencies=[{"id": "many"}]))
    run = json.loads(job("run", "many", "--json").stdout)["id"]
    cron.cluster.wait_until(lambda: "SUCCESS" in job("history", "many").stdout, 30, "the end of the run")
    done = job("logs", run, check=False)
    assert done.returncode == 1 and "is an array" in done.stderr
    cron.cluster.wait_until(lambda: "SUCCESS" in job("history", "after-many").stdout, 30, "the end of the child")
    done = job("remove", "many", check=False)
    assert done.returncode == 1 and "after-many" in done.stderr and "--stop" not in done.stderr
    job("remove", "after-many")
    job("remove", "many")


@pytest.mark.parametrize("arguments, stdin, status, message", [
    (["show", "nobody"], None, 1, "Job not found"),
    (["run", "nobody"], None, 1, "Job not found"),
    (["stop", "20200101000000abcde"], None, 1, "Job Run not found"),
    (["logs", "20200101000000abcde"], None, 1, "Job Run not found"),
    (["logs", "a/b"], None, 2, "no run id"),
    (["show", "a/b"], None, 2, "no job id"),
    (["run", "a", "--env", "novalue"], None, 2, "NAME=VALUE"),
    (["list", "--arg", "x"], None, 2, "are for run"),
    (["nonsense"], None, 2, "usage"),
    (["add", "/does/not/exist"], None, 1, "/does/not/exist"),
    (["add", "-"], "{", 1, "JSON"),
    (["add", "-"], "{}", 1, "neither"),
    (["add", "-"], '{"id": "x", "run": {"cpus": 0.1, "mem": 32, "disk": 0}}', 1, "must be specified"),
    (["add", "-"], '{"name": "x", "command": "true", "schedule": "FOO"}', 1, "FOO"),
])
def test_errors_name_the_object(job, arguments, stdin, status, message):
    done = job(*arguments, check=False, stdin=stdin)
    assert done.returncode == status and message in done.stderr, done.stdout + done.stderr
