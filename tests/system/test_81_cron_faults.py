# SPDX-License-Identifier: Apache-2.0
"""Jepsen's model of a cron system. Every run writes its job, its start and its end. A job is due at start + k * interval, and the
interval is longer than a run and the window together. Each due moment must be matched by one complete run that starts within
[due, due + window], no two moments by the same run; runs that match none are extra. While it goes on, the scheduler, the master
and the agent are killed, one after the other."""
import itertools
import os
import time

import pytest

from cron import Cron

JOBS = 5


class Plan:
    def __init__(self, interval, window, duration, rounds):
        self.interval, self.window, self.duration, self.rounds = interval, window, duration, rounds
        assert interval > window + duration


CALM = Plan(interval=8, window=4, duration=1, rounds=3)
# A killed part is started again, registers and gets its offers within the window.
STORM = Plan(interval=20, window=15, duration=2, rounds=4)


@pytest.fixture
def shared(tmp_path):
    """A folder that tasks can write to."""
    path = tmp_path / "runs"
    path.mkdir()
    for each in (path, *path.parents):
        if str(each).startswith("/tmp/"):
            os.chmod(each, 0o777)
    return path


def read_runs(path):
    """job -> [(start, end or None)] from lines "job begin|end id seconds"."""
    begun, ended = {}, {}
    for line in (path / "log").read_text().splitlines() if (path / "log").exists() else []:
        name, what, run, at = line.split()
        (begun if what == "begin" else ended)[(name, run)] = float(at)
    runs = {}
    for (name, run), at in begun.items():
        runs.setdefault(name, []).append((at, ended.get((name, run))))
    return {name: sorted(of) for name, of in runs.items()}


def match(due, runs, window):
    """(moments without a complete run, runs without a moment), each moment taking the first run that fits it."""
    left, missing = list(runs), []
    for moment in due:
        fitting = next((r for r in left if r[1] is not None and moment - 0.001 <= r[0] <= moment + window), None)
        if fitting is None:
            missing.append(moment)
        else:
            left.remove(fitting)
    return missing, left


def test_the_checker_sees_what_is_wrong():
    good = [(100.2, 101), (120.1, 121)]
    assert match([100, 120], good, 5) == ([], [])
    assert match([100, 120, 140], good, 5) == ([140], [])
    assert match([100], good, 5) == ([], [(120.1, 121)])
    assert match([100, 120], [(100.2, None), (120.1, 121)], 5) == ([100], [(100.2, None)])
    assert match([100, 120], [(106, 107), (120.1, 121)], 5) == ([100], [(106, 107)])
    assert match([100], [(99, 100)], 5) == ([100], [(99, 100)])


def command(path, plan):
    note = 'echo "$CHRONOS_JOB_NAME {} $$-$CHRONOS_JOB_RUN_TIME $(date +%s.%N)" >> ' + str(path / "log")
    return f"{note.format('begin')}; sleep {plan.duration}; {note.format('end')}"


def add_jobs(cron, path, first, prefix, plan):
    """JOBS jobs, a few seconds apart. Returns name -> first due moment."""
    starts = {}
    for i in range(JOBS):
        name, at = f"{prefix}-{i}", first + i * plan.interval // JOBS
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        answer = cron("POST", "/v1/scheduler/iso8601",
                      {"name": name, "command": command(path, plan), "schedule": f"R{plan.rounds}/{text}/PT{plan.interval}S", "retries": 0,
                       "cpus": 0.01, "mem": 32, "disk": 1, "runAsUser": "root" if os.getuid() == 0 else None})
        assert answer.status_code == 204, answer.text
        starts[name] = at
    return starts


def check(cron, path, starts, plan):
    end = max(starts.values()) + (plan.rounds - 1) * plan.interval + plan.window + plan.duration + 3
    cron.cluster.wait_until(lambda: time.time() > end, end - time.time() + 10, "the end of the schedule")
    runs, problems = read_runs(path), []
    for name, start in starts.items():
        due = [start + k * plan.interval for k in range(plan.rounds)]
        missing, extra = match(due, runs.get(name, []), plan.window)
        problems += [f"{name}: nothing ran for the moment {m - start:+.0f} s" for m in missing]
        problems += [f"{name}: a run at {r[0] - start:+.3f} s that no moment asked for" for r in extra]
    assert not problems, "\n".join(problems) + "\n" + cron.log.read_text(errors="replace")[-4000:] + cron.cluster.logs()
    for name in starts:
        shown = cron("GET", f"/v1/scheduler/job/{name}").json()
        assert (shown["successCount"], shown["errorCount"]) == (plan.rounds, 0), shown
        assert shown["disabled"] and shown["schedule"].startswith("R0/")


@pytest.fixture
def cron(make_cluster):
    cluster = make_cluster()
    cluster.up("--empty")
    process = Cron(cluster).start()
    yield process
    process.stop()


def test_every_moment_runs_once_without_faults(cron, shared):
    check(cron, shared, add_jobs(cron, shared, int(time.time()) + 3, "calm", CALM), CALM)


def test_every_moment_runs_once_while_parts_are_killed(cron, shared):
    starts = add_jobs(cron, shared, int(time.time()) + 3, "storm", STORM)
    end = max(starts.values()) + (STORM.rounds - 1) * STORM.interval
    kills = itertools.cycle(["cron", "master", "agent", "cron", "agent", "cron", "master"])
    while time.time() < end:
        victim = next(kills)
        if victim == "cron":
            cron.kill()
            cron.start()
        else:
            cron.cluster.kill_role(victim if victim == "master" else "agent-1")
        pause = time.time() + 3.3  # out of step with the schedule, so that all of its phases are met
        cron.cluster.wait_until(lambda: time.time() > pause, 10, "the next fault")
    check(cron, shared, starts, STORM)
