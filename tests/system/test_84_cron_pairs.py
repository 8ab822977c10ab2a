# SPDX-License-Identifier: Apache-2.0
"""Every request and answer that the facts of Metronome's API state (net-cron D.1 to D.8), over a real socket.

ROWS change nothing and look at the jobs of the fixture `state`, in any order; rows of REFUSED are definitions that must not
be taken, each with the path of its problem; STORIES are sequences with jobs of their own. Where this scheduler differs on
purpose, the row says `differs` beside its fact; docs/cron.md lists those with their reasons."""
import re

import pytest

from cron import Cron
from cron_pairs import ANY, ID, JSON, TIME, Row, Some, Without, check, differs, filled

RUN = {"cmd": "true", "cpus": 0.01, "mem": 32, "disk": 0}
NIGHTLY = {"id": "nightly", "cron": "0 3 * * *"}
NIGHTLY_SHOWN = {**NIGHTLY, "timezone": "UTC", "startingDeadlineSeconds": 900, "concurrencyPolicy": "ALLOW", "enabled": True,
                 "nextRunAt": re.compile(r"T03:00:00\.000\+0000$")}
RUN_SHOWN = {"cmd": "true", "cpus": 0.01, "mem": 32, "disk": 0, "gpus": 0, "env": {}, "secrets": {}, "artifacts": [],
             "placement": {"constraints": []}, "maxLaunchDelay": 3600, "volumes": [], "restart": {"policy": "NEVER"},
             "networks": []}


def job(name, command="true", **more):
    return {"id": name, "run": {**RUN, "cmd": command}, **more}


def with_run(**more):
    """A definition whose run has these members; None takes one away."""
    run = {k: v for k, v in {**RUN, **more}.items() if v is not None}
    return {"id": "{new}", "run": run}


def with_schedule(**more):
    return {"id": "{new}", "run": RUN, "schedules": [{k: v for k, v in {**NIGHTLY, **more}.items() if v is not None}]}


def shown(name, **more):
    return {"id": name, "dependencies": [], "labels": {}, "run": RUN_SHOWN, "schedules": [], **more}


def no_job(name):
    return {"id": name, "message": "Job not found"}


def no_schedule(name):
    return {"id": name, "message": "Schedule not found"}


def no_run(name, run):
    return {"jobSpec": name, "id": run, "message": "Job Run not found"}


def unknown_route(path):
    return {"message": "Unknown route.", "requestPath": path}


def invalid(path, error=ANY):
    """The body of 422, whose first detail is this."""
    return {"message": "Object is not valid", "details": [{"path": path, "errors": [error]}]}


@pytest.fixture(scope="module")
def cron(cluster):
    process = Cron(cluster).start()
    yield process
    process.stop()


def started(cron, name):
    answer = cron("POST", f"/v1/jobs/{name}/runs")
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def history(cron, name):
    return cron("GET", f"/v1/jobs/{name}?embed=history").json()["history"]


def ended(cron, name, successes, failures):
    def done():
        h = history(cron, name)
        return (h["successCount"], h["failureCount"]) == (successes, failures) and h
    return cron.cluster.wait_until(done, 60, f"{successes} successes and {failures} failures of {name}")


def running(cron, name, run):
    def is_active():
        shown_run = cron("GET", f"/v1/jobs/{name}/runs/{run}").json()
        return shown_run["status"] == "ACTIVE" and shown_run["tasks"][0]["status"] == "TASK_RUNNING"
    cron.cluster.wait_until(is_active, 60, f"run {run} of {name}")


@pytest.fixture(scope="module")
def state(cron):
    """Jobs that ROWS look at; returns the ids of their runs."""
    for definition in (job("plain"), job("scheduled", schedules=[NIGHTLY]), job("busy", "sleep 1000"),
                       job("waits"), job("parent"), job("child", dependencies=[{"id": "parent"}]),
                       job("done", 'test "$FAIL" = ""')):
        if definition["id"] == "waits":
            definition["run"]["cpus"] = 10000  # no agent has as many
        assert cron("POST", "/v1/jobs", definition).status_code == 201
    names = {"new": "never-created", "host": cron.url.removeprefix("http://"), "busy": started(cron, "busy"),
             "waits": started(cron, "waits"), "done": started(cron, "done")}
    names["failed"] = cron("POST", "/v1/jobs/done/runs", {"env": {"FAIL": "1"}}).json()["id"]
    ended(cron, "done", 1, 1)
    running(cron, "busy", names["busy"])
    return names


ACTIVE_RUN = Some(id="{busy}", jobId="busy", status="ACTIVE", createdAt=TIME, completedAt=None,
                  tasks=[Some(id=re.compile(r"^busy_\d{14}\w{5}\.[0-9a-f-]{36}$"), startedAt=TIME, status="TASK_RUNNING")])
SUMMARY = {"successCount": 1, "failureCount": 1, "lastSuccessAt": TIME, "lastFailureAt": TIME}
NO_SUMMARY = {"successCount": 0, "failureCount": 0, "lastSuccessAt": None, "lastFailureAt": None}


def finished(name):
    return {"id": "{%s}" % name, "createdAt": TIME, "finishedAt": TIME, "tasks": [re.compile(r"^done_\d{14}\w{5}\.")]}


HISTORY = {**SUMMARY, "successfulFinishedRuns": [finished("done")], "failedFinishedRuns": [finished("failed")]}
NO_HISTORY = {**NO_SUMMARY, "successfulFinishedRuns": [], "failedFinishedRuns": []}
BAD_EMBED = re.compile("^Unknown embed options.*activeRuns.*schedules.*history.*historySummary")

ROWS = [
    # The process itself.
    Row("D.1 ping", "GET", "/ping", 200, b"pong", headers={"Content-Type": re.compile("^text/plain")}),
    Row("D.1 info", "GET", "/info", 200, Some(version=str, libVersion=str, config=dict), headers=JSON),
    Row("D.1 leader", "GET", "/leader", 200, {"leader": "{host}"}, headers=JSON),
    Row("D.1 metrics", "GET", "/v1/metrics", 200, Some(version=str, gauges=dict, counters=dict, histograms=dict, meters=dict,
                                                       timers=dict), headers=JSON),
    Row("D.10 metrics", "GET", "/v1/metrics", 200, Some(gauges=Some({
        "metronome.jobs.active.gauge": {"value": int}, "metronome.uptime.gauge.seconds": {"value": float}}))),
    Row("D.10 metrics", "GET", "/v1/metrics", 200, Some(counters=Some({
        "metronome.jobs.failed.counter": {"count": int}, "metronome.jobs.started.counter": {"count": int}}))),
    Row("D.1 queue", "GET", "/v1/queue", 200, [{"jobId": "waits", "runs": [{"runId": "{waits}"}]}], headers=JSON),
    # Routes that are none. Metronome has no 405: another method of a known path is an unknown route too.
    *[Row("D.2 unknown route", method, path, 404, unknown_route(path), headers=JSON) for method, path in (
        ("GET", "/"), ("GET", "/nonsense"), ("GET", "/v1"), ("GET", "/v1/jobs/a/b"), ("POST", "/v1/queue"), ("PUT", "/v1/jobs"),
        ("PATCH", "/v1/jobs/plain"), ("DELETE", "/v1/jobs"), ("POST", "/v1/jobs/plain"), ("PUT", "/v1/jobs/plain/schedules"),
        ("POST", "/v1/jobs/scheduled/schedules/nightly"), ("DELETE", "/v1/jobs/busy/runs"), ("PUT", "/v1/jobs/busy/runs"),
        ("GET", "/v1/jobs/busy/runs/x/actions/stop"), ("POST", "/v1/jobs/busy/runs/x/actions/start"),
        ("GET", "/v0/scheduled-jobs"), ("DELETE", "/v0/scheduled-jobs/plain"), ("GET", "/v2/jobs"), ("POST", "/ping"),
        ("GET", "/v1/jobs//runs"))],
    # Bodies that are not read as JSON.
    *[Row("D.2 malformed JSON", method, path, 400, {"message": re.compile("^Invalid Json: ."), "requestPath": path}, raw=raw,
          headers=JSON)
      for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/plain"), ("POST", "/v1/jobs/plain/schedules"),
                           ("PUT", "/v1/jobs/scheduled/schedules/nightly"), ("POST", "/v0/scheduled-jobs"),
                           ("PUT", "/v0/scheduled-jobs/plain"), ("POST", "/v1/jobs/plain/runs"))
      for raw in (b"{", b'{"id":"a",}', b"\xff\xfe", b'"\xc3\x28"', b"nul", b'{"id":1e}', b'{"id":"a"} x')],
    Row("D.2 malformed JSON comes first", "PUT", "/v1/jobs/nobody", 400, Some(requestPath="/v1/jobs/nobody"), raw=b"{"),
    *[Row("D.2 malformed JSON: none at all", method, path, 400, Some(requestPath=path), raw=b"") for method, path in (
        ("POST", "/v1/jobs"), ("PUT", "/v1/jobs/plain"), ("POST", "/v1/jobs/plain/schedules"), ("POST", "/v0/scheduled-jobs"))],
    *[Row("D.2 another type than JSON", method, path, 415, {"message": "Expecting text/json or application/json body",
                                                            "requestPath": path}, raw=b"{}", sent={"Content-Type": kind})
      for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/plain"), ("POST", "/v1/jobs/plain/schedules"))
      for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded")],
    Row("D.2 text/json is JSON", "POST", "/v1/jobs", 422, invalid("/run", "error.path.missing"), raw=b'{"id":"x"}',
        sent={"Content-Type": "text/json; charset=utf-8"}),
    # What is not there.
    *[Row("D.2 unknown job", method, path, 404, no_job("nobody"), body, headers=JSON) for method, path, body in (
        ("GET", "/v1/jobs/nobody", None), ("PUT", "/v1/jobs/nobody", job("nobody")), ("DELETE", "/v1/jobs/nobody", None),
        ("DELETE", "/v1/jobs/nobody?stopCurrentJobRuns=true", None), ("GET", "/v1/jobs/nobody/schedules", None),
        ("POST", "/v1/jobs/nobody/schedules", NIGHTLY), ("GET", "/v1/jobs/nobody/schedules/nightly", None),
        ("PUT", "/v1/jobs/nobody/schedules/nightly", NIGHTLY), ("DELETE", "/v1/jobs/nobody/schedules/nightly", None),
        ("POST", "/v1/jobs/nobody/runs", None), ("GET", "/v1/jobs/nobody/runs", None), ("GET", "/v1/jobs/nobody/runs/r", None),
        ("POST", "/v1/jobs/nobody/runs/r/actions/stop", None), ("PUT", "/v0/scheduled-jobs/nobody", job("nobody")),
        ("GET", "/v1/jobs/nobody?embed=history", None))],
    *[Row("D.2 unknown schedule", method, f"/v1/jobs/{name}/schedules/none", 404, no_schedule("none"), body)
      for method, body in (("GET", None), ("PUT", {**NIGHTLY, "id": "none"}), ("DELETE", None))
      for name in ("plain", "scheduled")],
    *[Row("D.2 unknown run", method, path, 404, no_run("busy", "none")) for method, path in (
        ("GET", "/v1/jobs/busy/runs/none"), ("POST", "/v1/jobs/busy/runs/none/actions/stop"))],
    Row("D.5 a finished run is not there", "GET", "/v1/jobs/done/runs/{done}", 404, no_run("done", "{done}")),
    Row("D.5 a finished run is not stopped", "POST", "/v1/jobs/done/runs/{done}/actions/stop", 404, no_run("done", "{done}")),
    Row("D.2 a run of another job", "GET", "/v1/jobs/plain/runs/{busy}", 404, no_run("plain", "{busy}")),
    # Jobs.
    Row("D.1 list", "GET", "/v1/jobs", 200, list, headers=JSON),
    Row("D.3 defaults", "GET", "/v1/jobs/plain", 200, shown("plain"), headers=JSON),
    Row("D.3 absent fields are left out", "GET", "/v1/jobs/plain", 200, Without("description", "activeRuns", "history",
                                                                               "historySummary")),
    Row("D.4 defaults", "GET", "/v1/jobs/scheduled", 200, shown("scheduled", schedules=[NIGHTLY_SHOWN])),
    Row("D.3 dependencies", "GET", "/v1/jobs/child", 200, shown("child", dependencies=[{"id": "parent"}])),
    Row("D.1 duplicate", "POST", "/v1/jobs", 409, {"message": "Job with this id already exists"}, job("plain"), headers=JSON),
    Row("D.1 duplicate, v0", "POST", "/v0/scheduled-jobs", 409, {"message": "Job with this id already exists"},
        job("plain", schedules=[NIGHTLY])),
    Row("D.1 active runs", "DELETE", "/v1/jobs/busy", 409,
        {"message": "There are active job runs. Override with stopCurrentJobRuns=true"}),
    Row("D.1 active runs", "DELETE", "/v1/jobs/busy?stopCurrentJobRuns=false", 409,
        {"message": "There are active job runs. Override with stopCurrentJobRuns=true"}),
    Row("D.1 others depend on it", "DELETE", "/v1/jobs/parent", 409, {"message": re.compile("depend.*child")}),
    Row("D.2 unknown dependencies", "POST", "/v1/jobs", 422, {"message": "Dependencies contain unknown jobs. unknown=[no]"},
        job("x", dependencies=[{"id": "parent"}, {"id": "no"}])),
    Row("D.2 unknown dependencies", "PUT", "/v1/jobs/plain", 422, {"message": "Dependencies contain unknown jobs. unknown=[no]"},
        job("plain", dependencies=[{"id": "no"}])),
    Row("D.2 a cycle", "PUT", "/v1/jobs/parent", 422, {"message": "Dependencies have a cycle."},
        job("parent", dependencies=[{"id": "child"}])),
    Row("D.1 v0 dependencies (differs: 422, not 500)", "PUT", "/v0/scheduled-jobs/parent", 422,
        {"message": "Dependencies have a cycle."}, job("parent", dependencies=[{"id": "child"}])),
    # Schedules.
    Row("D.1 list", "GET", "/v1/jobs/plain/schedules", 200, []),
    Row("D.1 list", "GET", "/v1/jobs/scheduled/schedules", 200, [NIGHTLY_SHOWN]),
    Row("D.1 schedule", "GET", "/v1/jobs/scheduled/schedules/nightly", 200, NIGHTLY_SHOWN),
    Row("D.2 the same id", "POST", "/v1/jobs/scheduled/schedules", 409, {"message": "A schedule with id nightly already exists"},
        NIGHTLY),
    Row("D.2 a second one", "POST", "/v1/jobs/scheduled/schedules", 409,
        {"message": "Only one schedule supported at the moment"}, {**NIGHTLY, "id": "other"}),
    Row("D.3 a schedule and dependencies", "POST", "/v1/jobs/child/schedules", 422, invalid("/"), NIGHTLY),
    # Runs.
    Row("D.1 active runs", "GET", "/v1/jobs/busy/runs", 200, [ACTIVE_RUN], headers=JSON),
    Row("D.1 active runs", "GET", "/v1/jobs/plain/runs", 200, []),
    Row("D.5 finished ones are not listed", "GET", "/v1/jobs/done/runs", 200, []),
    Row("D.5 run", "GET", "/v1/jobs/busy/runs/{busy}", 200, ACTIVE_RUN),
    Row("D.5 run id", "GET", "/v1/jobs/busy/runs/{busy}", 200, Some(id=ID)),
    Row("D.5 in the launch queue", "GET", "/v1/jobs/waits/runs/{waits}", 200, Some(status="STARTING", tasks=[], completedAt=None)),
    # Ours: a run by its id alone, alive or ended.
    Row("ours: run", "GET", "/v1/runs/{busy}", 200, ACTIVE_RUN, headers=JSON),
    Row("ours: run that ended", "GET", "/v1/runs/{done}", 200, Some(id="{done}", jobId="done", status="SUCCESS", completedAt=TIME)),
    Row("ours: run that failed", "GET", "/v1/runs/{failed}", 200, Some(id="{failed}", jobId="done", status="FAILED")),
    *[Row("ours: unknown run", "GET", f"/v1/runs/{run}", 404, {"id": run, "message": "Job Run not found"}) for run in (
        "none", "20200101000000abcde", "20990101000000abcde", "99999999999999abcde", "a" * 2000)],
    Row("ours: unknown run", "GET", "/v1/runs/%22%7b%0a", 404, {"id": '"{\n', "message": "Job Run not found"}),
    # embed
    Row("D.6 activeRuns", "GET", "/v1/jobs/busy?embed=activeRuns", 200, {**shown("busy"), "run": ANY, "activeRuns": [ACTIVE_RUN]}),
    Row("D.6 activeRuns: none", "GET", "/v1/jobs/plain?embed=activeRuns", 200, shown("plain", activeRuns=[])),
    Row("D.6 schedules", "GET", "/v1/jobs/plain?embed=schedules", 200, shown("plain")),
    Row("D.6 historySummary", "GET", "/v1/jobs/done?embed=historySummary", 200, Some(historySummary=SUMMARY)),
    Row("D.6 historySummary: none", "GET", "/v1/jobs/plain?embed=historySummary", 200, shown("plain", historySummary=NO_SUMMARY)),
    Row("D.6 history", "GET", "/v1/jobs/done?embed=history", 200, Some(history=HISTORY)),
    Row("D.6 history: none", "GET", "/v1/jobs/plain?embed=history", 200, shown("plain", history=NO_HISTORY)),
    Row("D.6 repeated", "GET", "/v1/jobs/done?embed=history&embed=activeRuns", 200, Some(history=HISTORY, activeRuns=[])),
    Row("D.6 by commas", "GET", "/v1/jobs/done?embed=history,activeRuns,historySummary", 200,
        Some(history=HISTORY, activeRuns=[], historySummary=SUMMARY)),
    *[Row("D.2 bad embed", "GET", path, 400, {"message": BAD_EMBED, "requestPath": path.split("?")[0]}, headers=JSON)
      for path in ("/v1/jobs?embed=nonsense", "/v1/jobs?embed=activeRuns,nonsense", "/v1/jobs?embed=activeRuns&embed=x",
                   "/v1/jobs/plain?embed=nonsense", "/v1/jobs/plain?embed=ACTIVERUNS", "/v1/jobs/nobody?embed=nonsense")],
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(cron, state, row):
    check(cron, row, state)


@pytest.mark.parametrize("query, name, want", [
    ("embed=activeRuns", "busy", Some(activeRuns=[ACTIVE_RUN])),
    ("embed=activeRuns", "plain", Without("activeRuns")),  # missing: how the CLI tells that a job runs
    ("embed=activeRuns&embed=schedules&embed=historySummary", "done", Some(historySummary=SUMMARY)),
    ("embed=history", "done", Some(history=HISTORY)),
    ("embed=history", "plain", Some(history=NO_HISTORY)),
    ("", "busy", Without("activeRuns", "history", "historySummary")),
    ("", "scheduled", Some(schedules=[NIGHTLY_SHOWN])),
])
def test_a_job_in_the_list(cron, state, query, name, want):
    """D.6: what embed adds to the jobs of the list."""
    jobs = {j["id"]: j for j in check(cron, Row("D.6", "GET", "/v1/jobs?" + query, 200, list)).json()}
    assert differs(want if isinstance(want, Without) else filled(want, state), jobs[name]) is None


# -- definitions that are not taken: (fact, definition, path of the problem, its text)

MISSING, PATTERN = "error.path.missing", "error.pattern"
GOOD_IDS = ("a", "a-a", "a--a", "a-a.a-a", "a--a.a--a", "a.a.a", "a1a.a1.a1", "a1234567890-a1234567890.a1234567890-a1234567890.a")
BAD_IDS = ("a-", "a.", "a1.a-", "a1.a1.", "-a", ".a", "-a1.a", "a1.-a", "a1-.a", ".a1.a1", "a?.a", "a?a.a", "a.a?", "a.a?a", "A")
REFUSED = [
    *[("D.3 id", {"id": name, "run": RUN}, "/id", PATTERN) for name in BAD_IDS],
    ("D.3 id", {"run": RUN}, "/id", MISSING),
    ("D.3 id", {"id": 1, "run": RUN}, "/id", ANY),
    ("D.3 run", {"id": "{new}"}, "/run", MISSING),
    ("D.3 run", {"id": "{new}", "run": []}, "/run", ANY),
    ("D.3 description", {"id": "{new}", "run": RUN, "description": 1}, "/description", ANY),
    ("D.3 labels", {"id": "{new}", "run": RUN, "labels": {"a": 1}}, "/labels/a", ANY),
    ("D.3 dependencies", {"id": "{new}", "run": RUN, "dependencies": ["a"]}, "/dependencies(0)", ANY),
    ("D.3 dependencies", {"id": "{new}", "run": RUN, "dependencies": [{}]}, "/dependencies(0)/id", MISSING),
    ("D.3 unknown fields", {"id": "{new}", "run": RUN, "colour": "red"}, "/colour", ANY),
    ("D.3 unknown fields", with_run(colour="red"), "/run/colour", ANY),
    ("D.3 cpus", with_run(cpus=None), "/run/cpus", MISSING),
    ("D.3 cpus", with_run(cpus=0.009), "/run/cpus", ANY),
    ("D.3 cpus", with_run(cpus="1"), "/run/cpus", ANY),
    ("D.3 mem", with_run(mem=None), "/run/mem", MISSING),
    ("D.3 mem", with_run(mem=31.9), "/run/mem", ANY),
    ("D.3 disk", with_run(disk=None), "/run/disk", MISSING),
    ("D.3 disk", with_run(disk=-1), "/run/disk", ANY),
    ("D.3 gpus", with_run(gpus=-1), "/run/gpus", ANY),
    ("D.3 gpus", with_run(gpus=0.5), "/run/gpus", ANY),
    ("D.3 gpus (differs: not supported)", with_run(gpus=1), "/run/gpus", "GPUs are not supported yet"),
    ("D.3 cmd", with_run(cmd=None), "/run", "Cmd, Docker or UCR image must be specified"),
    ("D.3 args", with_run(args="x"), "/run/args", ANY),
    ("D.3 args", with_run(args=[1]), "/run/args(0)", ANY),
    ("D.3 user", with_run(user=1), "/run/user", ANY),
    ("D.3 env", with_run(env={"A": 1}), "/run/env/A", ANY),
    ("D.3 secrets (differs: not supported)", with_run(env={"A": {"secret": "s"}}), "/run/env/A", "Secrets are not supported yet"),
    ("D.3 secrets (differs: not supported)", with_run(secrets={"s": {"source": "/a"}}), "/run/secrets",
     "Secrets are not supported yet"),
    ("D.3 secrets", with_run(secrets={"s": {}}), "/run/secrets/s/source", MISSING),
    ("D.3 placement", with_run(placement={"constraints": [{"attribute": "a", "operator": "NEAR"}]}),
     "/run/placement/constraints(0)/operator", ANY),
    ("D.3 placement", with_run(placement={"constraints": [{"operator": "IS"}]}),
     "/run/placement/constraints(0)/attribute", MISSING),
    ("D.3 artifacts", with_run(artifacts=[{}]), "/run/artifacts(0)/uri", MISSING),
    ("D.3 maxLaunchDelay", with_run(maxLaunchDelay="x"), "/run/maxLaunchDelay", ANY),
    ("D.3 docker (differs: not supported)", with_run(docker={"image": "i"}), "/run/docker", "Docker images are not supported yet"),
    ("D.3 docker", with_run(docker={}), "/run/docker/image", MISSING),
    ("D.3 ucr (differs: not supported)", with_run(ucr={"image": {"id": "i"}}), "/run/ucr", "UCR images are not supported yet"),
    ("D.3 ucr", with_run(ucr={"image": {"id": "i", "kind": "oci"}}), "/run/ucr/image/kind", ANY),
    ("D.3 ucr", with_run(ucr={}), "/run/ucr/image", MISSING),
    ("D.3 volumes", with_run(volumes=[{"containerPath": "/a", "hostPath": "/b"}]), "/run/volumes(0)", MISSING),
    ("D.3 volumes", with_run(volumes=[{"containerPath": "/a", "mode": "RO"}]), "/run/volumes(0)", MISSING),
    ("D.3 volumes", with_run(volumes=[{"containerPath": "a", "hostPath": "/b", "mode": "RO"}]), "/run/volumes(0)", PATTERN),
    ("D.3 volumes", with_run(volumes=[{"containerPath": "/a", "hostPath": "/b", "mode": "R"}]), "/run/volumes(0)/mode", ANY),
    ("D.3 volumes", with_run(volumes=[{"hostPath": "/b", "mode": "RO"}]), "/run/volumes(0)/containerPath", MISSING),
    ("D.3 volumes (differs: not supported)", with_run(volumes=[{"containerPath": "/a", "secret": "s"}]), "/run/volumes(0)",
     re.compile("Secret volumes are not supported yet|File based secrets are only supported by UCR")),
    ("D.3 restart", with_run(restart={"policy": "ALWAYS"}), "/run/restart/policy", ANY),
    ("D.3 restart", with_run(restart={}), "/run/restart/policy", MISSING),
    ("D.3 restart", with_run(restart={"policy": "NEVER", "activeDeadlineSeconds": "x"}), "/run/restart/activeDeadlineSeconds", ANY),
    ("D.3 grace", with_run(taskKillGracePeriodSeconds="x"), "/run/taskKillGracePeriodSeconds", ANY),
    ("D.3 networks", with_run(networks=[{"mode": "bridge"}]), "/run/networks(0)/mode", ANY),
    ("D.3 networks", with_run(networks=[{}]), "/run/networks(0)/mode", MISSING),
    ("D.3 networks", with_run(networks=[{"mode": "host", "name": "n"}]), "/run/networks(0)/name", ANY),
    ("D.3 networks (differs: not supported)", with_run(networks=[{"mode": "container", "name": "n"}]), "/run/networks(0)",
     "Container networks are not supported yet"),
    ("D.3 networks", with_run(networks=[{"mode": "host"}, {"mode": "host"}]), "/run/networks", ANY),
    ("D.3 schedules", {"id": "{new}", "run": RUN, "schedules": [NIGHTLY, {**NIGHTLY, "id": "b"}]}, "/schedules",
     "Only one schedule supported at the moment"),
    ("D.3 schedules", {"id": "{new}", "run": RUN, "dependencies": [{"id": "parent"}], "schedules": [NIGHTLY]}, "/",
     "Jobs may not have both schedules and dependencies"),
    ("D.4 id", with_schedule(id=None), "/schedules(0)/id", MISSING),
    ("D.4 id", with_schedule(id="A"), "/schedules(0)/id", PATTERN),
    ("D.4 cron", with_schedule(cron=None), "/schedules(0)/cron", MISSING),
    *[("D.7 cron", with_schedule(cron=text), "/schedules(0)/cron", ANY) for text in (
        "", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *",
        "* * * * 8", "* * * FOO *", "* * * * FOO", "? * * * *", "* * ? * *", "@daily", "* * LW * *", "0 0 31 2 *",
        "0 0 30-31 2 *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *")],
    ("D.4 timezone", with_schedule(timezone="Mars/Olympus"), "/schedules(0)/timezone", ANY),
    ("D.4 timezone", with_schedule(timezone="+02:00"), "/schedules(0)/timezone", ANY),
    ("D.4 timezone", with_schedule(timezone="../../etc/passwd"), "/schedules(0)/timezone", ANY),
    ("D.4 deadline", with_schedule(startingDeadlineSeconds=0), "/schedules(0)/startingDeadlineSeconds", ANY),
    ("D.4 deadline", with_schedule(startingDeadlineSeconds=59), "/schedules(0)/startingDeadlineSeconds", ANY),
    ("D.4 policy", with_schedule(concurrencyPolicy="SOME"), "/schedules(0)/concurrencyPolicy", ANY),
    ("D.4 enabled", with_schedule(enabled="yes"), "/schedules(0)/enabled", ANY),
]


WAYS_IN = [("POST", "/v1/jobs"), ("POST", "/v0/scheduled-jobs"), ("PUT", "/v1/jobs/plain"), ("PUT", "/v0/scheduled-jobs/plain")]
# In a PUT the id of the path wins: what the body says for it does not matter.
CASES = [(*way, *row) for row in REFUSED for way in WAYS_IN if way[0] == "POST" or row[2] != "/id" or row[3] == ANY]


@pytest.mark.parametrize("method, target, fact, definition, path, error", CASES,
                         ids=[f"{i} {c[2]} {c[0]} {c[1]}" for i, c in enumerate(CASES)])
def test_refused(cron, state, method, target, fact, definition, path, error):
    """422 with the path of what is wrong, by every way in; nothing is changed."""
    check(cron, Row(fact, method, target, 422, invalid(path, error), definition, headers=JSON), state)
    check(cron, Row(fact, "GET", "/v1/jobs/plain", 200, shown("plain")))
    check(cron, Row(fact, "GET", "/v1/jobs/never-created", 404))


@pytest.mark.parametrize("body, path", [
    ({"cron": "* * * * *"}, "/id"), ({"id": "s", "cron": "* * * * *"}, "/id"), ({"id": "a.b", "cron": "* * * * *"}, "/id"),
    ({"id": "-a", "cron": "* * * * *"}, "/id"), ({"id": "a-", "cron": "* * * * *"}, "/id"), ({"id": "aA", "cron": "* * * * *"}, "/id"),
    ({"id": "ss"}, "/cron"), ({"id": "ss", "cron": "0 0 31 2 *"}, "/cron"),
    ({"id": "ss", "cron": "* * * * *", "timezone": "x"}, "/timezone"),
    ({"id": "ss", "cron": "* * * * *", "startingDeadlineSeconds": 59}, "/startingDeadlineSeconds"),
    ({"id": "ss", "cron": "* * * * *", "concurrencyPolicy": "x"}, "/concurrencyPolicy"), ([], "")])
def test_a_schedule_is_refused(cron, state, body, path):
    """D.4: 422 on the schedules endpoint, whose ids have two characters at least and no dots."""
    want = {"message": "Object is not valid", "details": [Some(path=path) if path else ANY]}
    check(cron, Row("D.4", "POST", "/v1/jobs/plain/schedules", 422, want, body))
    if path not in ("/id", ""):
        check(cron, Row("D.4", "PUT", "/v1/jobs/scheduled/schedules/nightly", 422, want, body))


# -- definitions that are taken

@pytest.mark.parametrize("name", GOOD_IDS)
def test_an_id_is_taken(cron, name):
    check(cron, Row("D.3 id", "POST", "/v1/jobs", 201, shown(name), job(name)))
    check(cron, Row("D.1", "GET", f"/v1/jobs/{name}", 200, shown(name)))
    check(cron, Row("D.1 answers with the deleted job", "DELETE", f"/v1/jobs/{name}", 200, shown(name)))
    check(cron, Row("D.1", "DELETE", f"/v1/jobs/{name}", 404, no_job(name)))


TAKEN = [  # (fact, members of run, as shown)
    ("D.3 cpus", {"cpus": 0.01}, {}),
    ("D.3 mem", {"mem": 32}, {}),
    ("D.3 args", {"args": ["a b", ""]}, {"args": ["a b", ""]}),
    ("D.3 user", {"user": "nobody"}, {"user": "nobody"}),
    ("D.3 env", {"env": {"A": "b", "C": ""}}, {"env": {"A": "b", "C": ""}}),
    ("D.3 placement", {"placement": {"constraints": [{"attribute": "a", "operator": "EQ", "value": "b"}]}},
     {"placement": {"constraints": [{"attribute": "a", "operator": "IS", "value": "b"}]}}),
    ("D.3 placement", {"placement": {"constraints": [{"attribute": "a", "operator": o, "value": "b.*"} for o in
                                                     ("IS", "LIKE", "UNLIKE")]}},
     {"placement": {"constraints": [{"attribute": "a", "operator": o, "value": "b.*"} for o in ("IS", "LIKE", "UNLIKE")]}}),
    ("D.3 placement", {"placement": {"constraints": [{"attribute": "a", "operator": "IS"}]}},
     {"placement": {"constraints": [{"attribute": "a", "operator": "IS"}]}}),
    ("D.3 artifacts", {"artifacts": [{"uri": "http://a/b"}]},
     {"artifacts": [{"uri": "http://a/b", "extract": True, "executable": False, "cache": False}]}),
    ("D.3 artifacts", {"artifacts": [{"uri": "http://a/b", "extract": False, "executable": True, "cache": True}]},
     {"artifacts": [{"uri": "http://a/b", "extract": False, "executable": True, "cache": True}]}),
    ("D.3 maxLaunchDelay", {"maxLaunchDelay": 10}, {"maxLaunchDelay": 10}),
    ("D.3 volumes", {"volumes": [{"containerPath": "/a", "hostPath": "/b", "mode": "RO"}]},
     {"volumes": [{"containerPath": "/a", "hostPath": "/b", "mode": "RO"}]}),
    ("D.3 restart", {"restart": {"policy": "ON_FAILURE"}}, {"restart": {"policy": "ON_FAILURE"}}),
    ("D.3 restart", {"restart": {"policy": "ON_FAILURE", "activeDeadlineSeconds": 5}},
     {"restart": {"policy": "ON_FAILURE", "activeDeadlineSeconds": 5}}),
    ("D.3 grace", {"taskKillGracePeriodSeconds": 1.5}, {"taskKillGracePeriodSeconds": 1.5}),
    ("D.3 networks", {"networks": [{"mode": "host"}]}, {"networks": [{"mode": "host"}]}),
    ("D.3 networks", {"networks": [{"mode": "host", "labels": {}}]}, {"networks": [{"mode": "host"}]}),
    ("D.3 networks", {"networks": [{"mode": "host", "labels": {"a": "b"}}]}, {"networks": [{"mode": "host", "labels": {"a": "b"}}]}),
    ("D.3 null is absent", {"user": None, "args": None, "env": None}, {}),
]


@pytest.mark.parametrize("fact, given, told", TAKEN, ids=[f"{i} {t[0]}" for i, t in enumerate(TAKEN)])
def test_taken(cron, fact, given, told):
    definition = {"id": "taken", "run": {**RUN, **given}}
    want = shown("taken", run={**RUN_SHOWN, **told})
    check(cron, Row(fact, "POST", "/v1/jobs", 201, want, definition))
    check(cron, Row(fact, "PUT", "/v1/jobs/taken", 200, want, {**want, "id": "taken"}))  # what was shown may be given back
    check(cron, Row(fact, "DELETE", "/v1/jobs/taken", 200, want))


@pytest.mark.parametrize("cron_text, told", [
    ("*/1 * * * *", "* * * * *"), ("0 9 1-7 * 1", None), ("0 0 29 2 *", None), ("0 0 20-31 2 *", None), ("0 0 * JAN MON", None),
    ("0 0 L * *", None), ("0 0 15W * *", None), ("0 0 * * 5L", None), ("0 0 * * 1#2", None), ("1,2,3 4-6/2 */5 1/3 0-7", None),
    ("0 0 1 1 * 2090", None), ("*  *\t* * *", ANY)])
def test_a_cron_text_is_taken(cron, cron_text, told):
    """D.7: what the dialect knows; the text is shown normalised."""
    want = ANY if told is ANY else re.compile("^" + re.escape(told) + "$") if told else str
    definition = {"id": "cron-text", "run": RUN, "schedules": [{"id": "a", "cron": cron_text}]}
    check(cron, Row("D.7", "POST", "/v1/jobs", 201, Some(schedules=[Some(cron=want, nextRunAt=TIME)]), definition))
    check(cron, Row("D.7", "DELETE", "/v1/jobs/cron-text", 200))


# -- sequences

OTHER = {"id": "other", "cron": "0 4 * * *", "timezone": "Europe/Rome", "startingDeadlineSeconds": 60, "concurrencyPolicy": "FORBID",
         "enabled": False}
OTHER_SHOWN = {**OTHER, "nextRunAt": TIME}
STORIES = {
    "a PUT of a job keeps its schedules, one of v0 replaces them": [
        Row("D.1", "POST", "/v0/scheduled-jobs", 201, shown("s1", schedules=[NIGHTLY_SHOWN]), job("s1", schedules=[NIGHTLY])),
        Row("D.1 kept", "PUT", "/v1/jobs/s1", 200, shown("s1", description="d", schedules=[NIGHTLY_SHOWN]),
            job("s1", description="d", schedules=[OTHER])),
        Row("D.1 kept", "PUT", "/v1/jobs/s1", 200, shown("s1", schedules=[NIGHTLY_SHOWN]), job("s1", schedules=[])),
        Row("D.1 the path's id wins", "PUT", "/v1/jobs/s1", 200, shown("s1", schedules=[NIGHTLY_SHOWN]), job("s2")),
        Row("D.1", "GET", "/v1/jobs/s2", 404, no_job("s2")),
        Row("D.1 replaced", "PUT", "/v0/scheduled-jobs/s1", 200, shown("s1", schedules=[OTHER_SHOWN]), job("s1", schedules=[OTHER])),
        Row("D.8 disabled, but the next time is shown", "GET", "/v1/jobs/s1/schedules/other", 200, OTHER_SHOWN),
        Row("D.1 replaced by none", "PUT", "/v0/scheduled-jobs/s1", 200, shown("s1"), job("s1")),
        Row("D.1", "DELETE", "/v1/jobs/s1", 200, shown("s1"), headers=JSON),
    ],
    "schedules of a job": [
        Row("D.1", "POST", "/v1/jobs", 201, shown("s3"), job("s3")),
        Row("D.4", "POST", "/v1/jobs/s3/schedules", 201, NIGHTLY_SHOWN, {**NIGHTLY, "timeZone": "Mars/Olympus"}, headers=JSON),
        Row("D.1 the path's id wins", "PUT", "/v1/jobs/s3/schedules/nightly", 200, {**OTHER_SHOWN, "id": "nightly"}, OTHER),
        Row("D.1", "GET", "/v1/jobs/s3/schedules", 200, [{**OTHER_SHOWN, "id": "nightly"}]),
        Row("D.1 empty", "DELETE", "/v1/jobs/s3/schedules/nightly", 200, b""),
        Row("D.1", "DELETE", "/v1/jobs/s3/schedules/nightly", 404, no_schedule("nightly")),
        Row("D.1 not created", "PUT", "/v1/jobs/s3/schedules/nightly", 404, no_schedule("nightly"), NIGHTLY),
        Row("D.1", "GET", "/v1/jobs/s3/schedules", 200, []),
        Row("D.1", "POST", "/v1/jobs/s3/schedules", 201, OTHER_SHOWN, OTHER),
        Row("D.1", "DELETE", "/v1/jobs/s3", 200, shown("s3", schedules=[OTHER_SHOWN])),
    ],
    "a schedule's id inside a job may be one that the endpoint does not take": [
        Row("D.4", "POST", "/v1/jobs", 201, Some(schedules=[Some(id="a.b")]), job("s4", schedules=[{**NIGHTLY, "id": "a.b"}])),
        Row("D.4", "PUT", "/v1/jobs/s4/schedules/a.b", 200, Some(id="a.b"), {**NIGHTLY, "id": "a.b"}),
        Row("D.1", "DELETE", "/v1/jobs/s4", 200),
    ],
    "dependencies": [
        Row("D.1", "POST", "/v1/jobs", 201, shown("s5"), job("s5")),
        Row("D.1", "POST", "/v1/jobs", 201, shown("s6", dependencies=[{"id": "s5"}]), job("s6", dependencies=[{"id": "s5"}])),
        Row("D.2 of itself", "PUT", "/v1/jobs/s5", 422, {"message": "Dependencies have a cycle."}, job("s5", dependencies=[{"id": "s5"}])),
        Row("D.2", "PUT", "/v1/jobs/s5", 422, {"message": "Dependencies have a cycle."}, job("s5", dependencies=[{"id": "s6"}])),
        Row("D.1", "DELETE", "/v1/jobs/s5?stopCurrentJobRuns=true", 409, {"message": str}),
        Row("D.1", "DELETE", "/v1/jobs/s6", 200, shown("s6", dependencies=[{"id": "s5"}])),
        Row("D.1", "DELETE", "/v1/jobs/s5", 200, shown("s5")),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_story(cron, story):
    for row in STORIES[story]:
        check(cron, row)


@pytest.mark.parametrize("more", [{}, {"body": {}}, {"raw": b""}])
def test_a_run_is_started_and_stopped(cron, more):
    """D.1, D.5, D.8: both with and without a body; a stopped run is a failed one and is nowhere but in the history."""
    check(cron, Row("D.1", "POST", "/v1/jobs", 201, body=job("stopped", "sleep 1000")))
    run = check(cron, Row("D.1", "POST", "/v1/jobs/stopped/runs", 201,
                          Some(id=ID, jobId="stopped", status=re.compile("^(INITIAL|STARTING)$"), createdAt=TIME, completedAt=None,
                               tasks=[]), headers=JSON, **more)).json()["id"]
    running(cron, "stopped", run)
    check(cron, Row("D.1", "POST", f"/v1/jobs/stopped/runs/{run}/actions/stop", 200, Some(id=run, jobId="stopped", status="ACTIVE"),
                    headers=JSON, **more))
    told = ended(cron, "stopped", 0, 1)
    assert [r["id"] for r in told["failedFinishedRuns"]] == [run] and told["successfulFinishedRuns"] == []
    check(cron, Row("D.5", "GET", f"/v1/jobs/stopped/runs/{run}", 404, no_run("stopped", run)))
    check(cron, Row("D.5", "GET", "/v1/jobs/stopped/runs", 200, []))
    check(cron, Row("D.1", "DELETE", "/v1/jobs/stopped", 200))


def test_a_run_that_waits_is_stopped_at_once(cron):
    definition = job("never")
    definition["run"]["cpus"] = 10000
    check(cron, Row("D.1", "POST", "/v1/jobs", 201, body=definition))
    run = started(cron, "never")
    assert {"jobId": "never", "runs": [{"runId": run}]} in cron("GET", "/v1/queue").json()
    check(cron, Row("D.1", "POST", f"/v1/jobs/never/runs/{run}/actions/stop", 200, Some(id=run)))
    ended(cron, "never", 0, 1)
    assert all(q["jobId"] != "never" for q in cron("GET", "/v1/queue").json())
    check(cron, Row("D.1", "DELETE", "/v1/jobs/never", 200))


def test_a_job_is_deleted_with_its_runs(cron):
    check(cron, Row("D.1", "POST", "/v1/jobs", 201, body=job("gone", "sleep 1000")))
    run = started(cron, "gone")
    running(cron, "gone", run)
    check(cron, Row("D.1", "DELETE", "/v1/jobs/gone", 409))
    check(cron, Row("D.1", "DELETE", "/v1/jobs/gone?stopCurrentJobRuns=true", 200, Some(id="gone")))
    check(cron, Row("D.1", "GET", "/v1/jobs/gone", 404, no_job("gone")))
    check(cron, Row("D.1", "GET", f"/v1/jobs/gone/runs/{run}", 404, no_job("gone")))


def test_runs_by_hand_ignore_forbid(cron):
    """D.8"""
    schedule = {**NIGHTLY, "concurrencyPolicy": "FORBID"}
    check(cron, Row("D.8", "POST", "/v1/jobs", 201, body=job("forbids", "sleep 1000", schedules=[schedule])))
    runs = [started(cron, "forbids") for _ in range(2)]
    assert sorted(r["id"] for r in cron("GET", "/v1/jobs/forbids/runs").json()) == sorted(runs)
    check(cron, Row("D.1", "DELETE", "/v1/jobs/forbids?stopCurrentJobRuns=true", 200))


def test_on_failure_starts_another_task_of_the_same_run(cron):
    """D.5, D.8: within activeDeadlineSeconds."""
    definition = job("retries", "exit 1")
    definition["run"]["restart"] = {"policy": "ON_FAILURE", "activeDeadlineSeconds": 1000}
    check(cron, Row("D.8", "POST", "/v1/jobs", 201, body=definition))
    run = started(cron, "retries")

    def tried_again():
        told = cron("GET", f"/v1/jobs/retries/runs/{run}").json()
        return told["tasks"][0]["status"] == "TASK_FAILED" and told["tasks"][0]["completedAt"] and len(told["tasks"]) > 1
    cron.cluster.wait_until(tried_again, 60, "a second task")
    check(cron, Row("D.1", "DELETE", "/v1/jobs/retries?stopCurrentJobRuns=true", 200))


def test_a_child_runs_after_its_parents(cron):
    """D.8"""
    for name, parents in (("p1", []), ("p2", []), ("p3", ["p1", "p2"])):
        check(cron, Row("D.8", "POST", "/v1/jobs", 201, body=job(name, dependencies=[{"id": p} for p in parents])))
    started(cron, "p1")
    ended(cron, "p1", 1, 0)
    check(cron, Row("D.8 not yet", "GET", "/v1/jobs/p3?embed=historySummary", 200, Some(historySummary=NO_SUMMARY)))
    started(cron, "p2")
    ended(cron, "p3", 1, 0)
    for name in ("p3", "p2", "p1"):
        check(cron, Row("D.1", "DELETE", f"/v1/jobs/{name}", 200))
