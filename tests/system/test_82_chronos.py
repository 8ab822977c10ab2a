# SPDX-License-Identifier: Apache-2.0
"""Chronos's API over HTTP: requests and what they are answered (facts: net-cron E), as tables, and jobs that run."""
import re
import time

import pytest
import requests

from cron import Cron

PREFIX = "/v1/scheduler"
BAD, BROKEN = "Bad Request", "Internal Server Error"


@pytest.fixture(scope="module")
def cron(cluster):
    process = Cron(cluster, "--failure_retry", 500).start()
    yield process
    process.stop()


def job(name, **more):
    return {"name": name, "command": "true", "schedule": "R/2090-01-01T00:00:00Z/P1D", **more}


def child(name, *parents, **more):
    return {"name": name, "command": "true", "parents": list(parents), **more}


def put(cron, definition, status=204):
    path = "/dependency" if "parents" in definition else "/iso8601"
    answer = cron("POST", PREFIX + path, definition)
    assert answer.status_code == status, answer.text
    return answer


def get(cron, name, prefix=PREFIX):
    answer = cron("GET", f"{prefix}/job/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


# (definition, status, status text, pattern of the message)
DEFINITIONS = [
    (job("good"), 204, None, None),
    (job("Good_name.with-all"), 204, None, None),
    (job("bad name"), 400, BAD, "the job's name is invalid"),
    (job("bad/name"), 400, BAD, "the job's name is invalid"),
    ({"command": "true", "schedule": "R//P1D"}, 400, BAD, "name"),
    ({"name": "no-command", "schedule": "R//P1D"}, 400, BAD, "command"),
    (job("no-schedule", schedule="FOO"), 400, BAD, "schedule"),
    (job("no-period", schedule="R/2090-01-01T00:00:00Z"), 400, BAD, "schedule"),
    (job("end-form", schedule="R/2090-01-01T00:00:00Z/2091-01-01T00:00:00Z"), 400, BAD, "schedule"),
    (job("bad-start", schedule="R/2090-13-01T00:00:00Z/P1D"), 400, BAD, "time"),
    (job("bad-period", schedule="R/2090-01-01T00:00:00Z/P1X"), 400, BAD, "period"),
    (job("too-early", schedule="R/1969-12-31T00:00:00Z/P1D"), 400, BAD, "1970"),
    (job("bad-zone", scheduleTimeZone="Mars/Olympus"), 400, BAD, "time zone"),
    (job("java-zone", scheduleTimeZone="BST"), 204, None, None),
    (job("both", uris=["http://a/b"], fetch=[{"uri": "http://a/c"}]), 400, BAD, "both uri"),
    (job("image", container={"type": "DOCKER", "image": "busybox"}), 400, BAD, "images are not supported"),
    (job("executor", executor="/bin/e"), 400, BAD, "executor"),
    (job("constraint", constraints=[["rack", "NEAR", "x"]]), 400, BAD, "constraint"),
    (job("constraint-good", constraints=[["rack", "EQUALS", "x"], ["hostname", "UNLIKE", "a.*"]]), 204, None, None),
    (job("cpus", cpus="many"), 400, BAD, "cpus"),
    (job("retries", retries=-1), 400, BAD, "retries"),
    (job("unknown-fields", colour="red", epsilon="PT1M", **{"async": False}), 204, None, None),
    (job("texts-for-numbers", cpus="0.2", retries="3", disabled="true"), 204, None, None),
    (child("orphan", "nobody"), 400, BAD, "parent does not exist"),
    (child("no-parents"), 400, BAD, "parent does not exist"),
    (child("of-good", "good"), 204, None, None),
    ([], 400, BAD, "object"),
]


@pytest.mark.parametrize("definition, status, text, message", DEFINITIONS, ids=range(len(DEFINITIONS)))
def test_definitions(cron, definition, status, text, message):
    path = "/dependency" if isinstance(definition, dict) and "parents" in definition else "/iso8601"
    answer = cron("POST", PREFIX + path, definition)
    assert answer.status_code == status, answer.text
    if status == 204:
        assert answer.content == b""
    else:
        assert answer.json()["status"] == text and re.search(message, answer.json()["message"]), answer.text


# (method, path, body, status, body of the answer: exact JSON or text, or a pattern)
REQUESTS = [
    ("GET", "/v1/scheduler/job/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("PUT", "/v1/scheduler/job/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("DELETE", "/v1/scheduler/job/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("GET", "/v1/scheduler/job/stat/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("PUT", "/v1/scheduler/job/success/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("DELETE", "/v1/scheduler/task/kill/nobody", None, 400, {"status": BAD, "message": "Job 'nobody' not found"}),
    ("DELETE", "/v1/scheduler/task/kill/plain", None, 204, b""),
    ("POST", "/v1/scheduler/job/plain/task/x/progress", {"numAdditionalElementsProcessed": 1}, 400,
     {"status": BAD, "message": "Job 'plain' is not enabled to track data"}),
    ("GET", "/v1/scheduler/jobs/search?limit=x", None, 400, re.compile("limit")),
    ("GET", "/v1/scheduler/nothing", None, 404, re.compile("Not Found")),
    ("PATCH", "/v1/scheduler/jobs", None, 405, re.compile("Method Not Allowed")),
    ("PUT", "/v1/scheduler/iso8601", {}, 405, re.compile("Method Not Allowed")),
    ("DELETE", "/v1/scheduler/task/all", None, 404, re.compile("Not Found")),
    ("PUT", "/scheduler/iso8601", {"name": "second", "command": "true", "schedule": "R/2090-01-01T00:00:00Z/P1D"}, 204, b""),
    ("PUT", "/scheduler/dependency", {"name": "second-child", "command": "true", "parents": ["second"]}, 204, b""),
    ("PUT", "/scheduler/job/success/plain", None, 404, re.compile("Not Found")),
    ("GET", "/scheduler/job/second", None, 200, re.compile('"epsilon":"PT1M","async":false')),
    ("PUT", "/scheduler/task/ct:1:0:plain:", {"statusCode": 0}, 400, re.compile("asynchronous")),
    ("DELETE", "/scheduler/task/all", None, 204, b""),
    ("DELETE", "/scheduler/job/second-child", None, 204, b""),
    ("DELETE", "/scheduler/job/second", None, 204, b""),
    ("GET", "/v1/scheduler/stats/nothing", None, 200, []),
]


@pytest.mark.parametrize("method, path, body, status, want", REQUESTS, ids=[f"{r[0]} {r[1]}" for r in REQUESTS])
def test_requests(cron, method, path, body, status, want):
    put(cron, job("plain"))
    answer = cron(method, path, body)
    assert answer.status_code == status, answer.text
    if isinstance(want, re.Pattern):
        assert want.search(answer.text), answer.text
    elif isinstance(want, bytes):
        assert answer.content == want
    else:
        assert answer.json() == want


def test_malformed_json_is_400_and_another_type_415(cron):
    answer = requests.post(cron.url + PREFIX + "/iso8601", data="{", headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == 400 and answer.json()["status"] == BAD
    answer = requests.post(cron.url + PREFIX + "/iso8601", data="{}", headers={"Content-Type": "text/plain"}, timeout=30)
    assert answer.status_code == 415


def test_a_job_is_shown_with_all_fields_and_their_defaults(cron):
    put(cron, job("defaults"))
    shown = get(cron, "defaults")
    assert shown == {
        "name": "defaults", "command": "true", "shell": True, "executor": "", "executorFlags": "", "taskInfoData": "",
        "retries": 2, "owner": "", "ownerName": "", "description": "", "cpus": 0.1, "disk": 256.0, "mem": 128.0,
        "disabled": False, "softError": False, "dataProcessingJobType": False, "errorsSinceLastSuccess": 0, "fetch": [],
        "uris": [], "environmentVariables": [], "arguments": [], "highPriority": False, "runAsUser": shown["runAsUser"],
        "concurrent": False, "constraints": [], "successCount": 0, "errorCount": 0, "lastSuccess": "", "lastError": "",
        "schedule": "R/2090-01-01T00:00:00.000Z/P1D", "scheduleTimeZone": "",
    }
    assert list(shown)[-2:] == ["schedule", "scheduleTimeZone"]


def test_a_job_is_given_back_as_it_came(cron):
    given = job("whole", command="echo $A", retries=5, owner="a@b.c", ownerName="A", description="d", cpus=0.5, mem=64.0,
                disk=10.0, disabled=True, softError=True, dataProcessingJobType=True, highPriority=True, concurrent=True,
                maxCompletionTime=30, environmentVariables=[{"name": "A", "value": "b"}], runAsUser="nobody",
                fetch=[{"uri": "http://a/b", "executable": True, "cache": True, "extract": False, "output_file": "f"}],
                constraints=[["rack", "LIKE", "r.*"]], scheduleTimeZone="Europe/Rome",
                container={"type": "MESOS", "image": "", "network": "HOST", "networkInfos": [],
                           "volumes": [{"hostPath": "/tmp", "containerPath": "/mnt", "mode": "RO"}], "forcePullImage": False,
                           "parameters": []})
    put(cron, given)
    shown = get(cron, "whole")
    given["schedule"] = "R/2090-01-01T00:00:00.000+01:00/P1D"
    for key, value in given.items():
        assert shown[key] == value, key


def test_uris_and_fetch_are_filled_from_each_other_in_the_list_only(cron):
    put(cron, job("uris", uris=["http://a/b"]))
    shown = get(cron, "uris")
    assert shown["uris"] == ["http://a/b"] and shown["fetch"] == []
    listed = next(j for j in cron("GET", PREFIX + "/jobs").json() if j["name"] == "uris")
    assert listed["uris"] == ["http://a/b"] and listed["fetch"][0]["uri"] == "http://a/b"
    put(cron, listed)  # what the list shows may be posted


def test_search_and_summary(cron):
    for name, command in (("find-a", "run ALPHA"), ("find-b", "run beta"), ("other-find", "alpha")):
        put(cron, job(name, command=command))

    def found(query):
        return [j["name"] for j in cron("GET", PREFIX + "/jobs/search?" + query).json()]
    assert found("name=FIND-") == ["find-a", "find-b"]
    assert found("command=alpha") == ["find-a", "other-find"]
    assert found("name=find-&command=beta") == ["find-b"]
    assert found("any=alpha") == ["find-a", "other-find"]
    assert found("name=find&limit=1&offset=1") == ["find-b"]
    assert len(found("")) <= 10
    put(cron, child("find-child", "find-a"))
    jobs = {j["name"]: j for j in cron("GET", PREFIX + "/jobs/summary").json()["jobs"]}
    assert jobs["find-a"] == {"name": "find-a", "status": "fresh", "state": "idle", "parents": [], "disabled": False,
                              "schedule": "R/2090-01-01T00:00:00.000Z/P1D"}
    assert jobs["find-child"]["parents"] == ["find-a"] and jobs["find-child"]["schedule"] == ""


def test_cycles_are_500_and_graphs_are_drawn(cron):
    put(cron, job("top"))
    put(cron, child("mid", "top"))
    put(cron, child("low", "mid", "top"))
    answer = put(cron, child("mid", "low"), 500)
    assert answer.json()["status"] == BROKEN and "ycle" in answer.json()["message"]
    dot = cron("GET", PREFIX + "/graph/dot")
    assert dot.headers["Content-Type"].startswith("text/plain")
    assert dot.text.startswith("digraph") and '"mid" -> "low"' in dot.text and '"top" -> "low"' in dot.text
    csv = cron("GET", PREFIX + "/graph/csv").text.splitlines()
    assert "node,low,fresh,idle" in csv and "link,mid,low" in csv and "link,top,low" in csv


def test_a_parent_that_is_removed_leaves_its_children_its_schedule_or_its_parents(cron):
    put(cron, job("first", schedule="R7/2090-02-03T00:00:00Z/P2D"))
    put(cron, child("middle", "first"))
    put(cron, child("last", "middle", command="exit 0", environmentVariables=[{"name": "K", "value": "v"}]))
    assert cron("DELETE", PREFIX + "/job/middle").status_code == 204
    assert get(cron, "last")["parents"] == ["first"]
    assert cron("DELETE", PREFIX + "/job/first").status_code == 204
    shown = get(cron, "last")
    assert shown["schedule"] == "R7/2090-02-03T00:00:00.000Z/P2D" and "parents" not in shown
    assert shown["command"] == "exit 0" and shown["environmentVariables"] == [{"name": "K", "value": "v"}]
    put(cron, job("again"))
    put(cron, child("last", "again"))
    assert get(cron, "last")["parents"] == ["again"]
    put(cron, job("last"))
    assert "parents" not in get(cron, "last")


def test_both_apis_show_the_same_job(cron):
    put(cron, job("shared", description="from one"))
    answer = cron("GET", "/v1/jobs/shared")
    assert answer.status_code == 200 and answer.json()["description"] == "from one"
    assert cron("POST", "/v1/jobs", {"id": "by-hand", "run": {"cmd": "true", "cpus": 0.1, "mem": 32, "disk": 0}}).status_code == 201
    answer = cron("GET", PREFIX + "/job/by-hand")
    assert answer.status_code == 400 and "/v1/jobs/by-hand" in answer.json()["message"]


# -- runs

def ended(cron, name, successes=0, failures=0, bound=60):
    def done():
        shown = get(cron, name)
        return (shown["successCount"], shown["errorCount"]) == (successes, failures) and shown
    return cron.cluster.wait_until(done, bound, f"{successes} successes and {failures} failures of {name}")


def test_a_job_due_now_runs_once_and_is_disabled_then(cron):
    put(cron, job("once", schedule="R1//PT24H"))
    shown = ended(cron, "once", 1)
    assert shown["schedule"].startswith("R0/") and shown["disabled"] and shown["lastSuccess"]
    stat = cron("GET", PREFIX + "/job/stat/once").json()
    assert stat["histogram"]["count"] == 1 and set(stat["histogram"]) == {
        "75thPercentile", "95thPercentile", "98thPercentile", "99thPercentile", "median", "mean", "count"}
    last = stat["taskStatHistory"][0]
    assert last["jobName"] == "once" and re.fullmatch(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d", last["startTime"])
    times = cron("GET", PREFIX + "/stats/median").json()
    assert any(t["jobNameLabel"] == "once" for t in times)


def test_nothing_but_a_command_runs_at_once(cron):
    answer = cron("POST", PREFIX + "/iso8601", {"name": "bare", "command": "true"})
    assert answer.status_code == 204
    ended(cron, "bare", 1)


def test_missed_moments_are_one_run_and_one_less_of_the_count(cron):
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7500))
    put(cron, job("late", schedule=f"R3/{start}/PT1H"))
    shown = ended(cron, "late", 1)
    assert shown["schedule"].startswith("R2/") and not shown["disabled"]


def test_a_run_by_hand_with_arguments(cron):
    put(cron, job("by-put-arguments", command="test a ="))
    assert cron("PUT", PREFIX + "/job/by-put-arguments?arguments=a").status_code == 204
    ended(cron, "by-put-arguments", 1)


def test_the_environment_of_a_task(cron):
    names = ["MESOS_TASK_ID", "mesos_task_id", "CHRONOS_JOB_OWNER", "HOST", "CHRONOS_RESOURCE_MEM", "CHRONOS_RESOURCE_CPU",
             "CHRONOS_RESOURCE_DISK", "CHRONOS_JOB_RUN_TIME"]
    checks = " && ".join(f'test -n "${n}"' for n in names)
    put(cron, job("environment", schedule="R1//PT1H", owner="o@x", retries=0,
                  command=checks + ' && test "$CHRONOS_JOB_NAME" = environment && test "$CHRONOS_JOB_RUN_ATTEMPT" = 0'
                  ' && test "$MINE" = yes',
                  environmentVariables=[{"name": "MINE", "value": "yes"}, {"name": "CHRONOS_JOB_NAME", "value": "forged"}]))
    ended(cron, "environment", 1)


def test_failures_are_counted_and_do_not_start_children_unless_soft(cron):
    put(cron, job("fails", command="exit 3", retries=0))
    put(cron, child("never", "fails"))
    assert cron("PUT", PREFIX + "/job/fails").status_code == 204
    shown = ended(cron, "fails", 0, 1)
    assert shown["errorsSinceLastSuccess"] == 1 and shown["lastError"] and shown["lastSuccess"] == ""
    put(cron, job("fails-softly", command="exit 3", retries=0, softError=True))
    put(cron, child("after-soft", "fails-softly"))
    assert cron("PUT", PREFIX + "/job/fails-softly").status_code == 204
    ended(cron, "after-soft", 1)
    assert get(cron, "never")["successCount"] == 0


def test_children_run_after_all_their_parents(cron):
    put(cron, job("a"))
    for definition in (child("b", "a"), child("c", "a"), child("d", "b"), child("e", "b", "c")):
        put(cron, definition)
    assert cron("PUT", PREFIX + "/job/a").status_code == 204
    for name in "abcde":
        ended(cron, name, 1)
    answer = cron("PUT", PREFIX + "/job/success/a")
    assert answer.status_code == 200 and answer.text == "marked job a as successful: true"
    for name in "abcde":
        ended(cron, name, 2)


def test_killing_a_job_ends_its_tasks_without_a_retry(cron):
    put(cron, job("long", command="sleep 1000"))
    assert cron("PUT", PREFIX + "/job/long").status_code == 204

    def state():
        return next(j for j in cron("GET", PREFIX + "/jobs/summary").json()["jobs"] if j["name"] == "long")["state"]
    cron.cluster.wait_until(lambda: state() == "1 running", 60, "the task")
    assert cron("DELETE", PREFIX + "/task/kill/long").status_code == 204
    cron.cluster.wait_until(lambda: state() == "idle", 60, "the end of the task")
    assert get(cron, "long")["successCount"] == 0


def test_a_task_that_takes_too_long_is_killed(cron):
    put(cron, job("slow", command="sleep 1000", maxCompletionTime=1, retries=0))
    assert cron("PUT", PREFIX + "/job/slow").status_code == 204
    ended(cron, "slow", 0, 1)


def test_progress_of_a_task(cron):
    put(cron, job("counts", command="sleep 1000", dataProcessingJobType=True))
    assert cron("PUT", PREFIX + "/job/counts").status_code == 204

    def task():
        runs = cron("GET", "/v1/jobs/counts/runs").json()
        return runs and runs[0]["tasks"] and runs[0]["tasks"][0]["id"]
    task_id = cron.cluster.wait_until(task, 60, "a task")
    path = f"{PREFIX}/job/counts/task/{task_id}/progress"
    assert cron("POST", path, {"numAdditionalElementsProcessed": 5}).status_code == 204
    assert cron("POST", path, {"numAdditionalElementsProcessed": 0}).status_code == 204
    assert cron("POST", path, {"numAdditionalElementsProcessed": -1}).status_code == 400
    assert cron("POST", f"{PREFIX}/job/counts/task/other/progress", {"numAdditionalElementsProcessed": 5}).status_code == 400
    assert cron("DELETE", PREFIX + "/task/kill/counts").status_code == 204

    def counted():
        last = cron("GET", PREFIX + "/job/stat/counts").json()["taskStatHistory"][0]
        return last["status"] == "Fail" and last
    last = cron.cluster.wait_until(counted, 60, "the end of the task")
    assert last["taskId"] == task_id and last["numElementsProcessed"] == 5
    shown = get(cron, "counts")
    assert (shown["successCount"], shown["errorCount"]) == (0, 0)  # killed is neither


def test_arguments_without_a_shell_are_argv(cron):
    put(cron, job("argv", command="/bin/sh", shell=False, retries=0, schedule="R1//PT1H",
                  arguments=["called", "-c", 'test "$0" = zero && test "$1" = "a b"', "zero", "a b"]))
    ended(cron, "argv", 1)


def test_a_job_that_is_not_concurrent_runs_once_at_a_time(cron):
    put(cron, job("alone", command="sleep 1000", retries=0))
    for _ in range(2):
        assert cron("PUT", PREFIX + "/job/alone").status_code == 204
    assert len(cron("GET", "/v1/jobs/alone/runs").json()) == 1
    skipped = cron("GET", "/v1/jobs/alone/history").json()["runs"]
    assert [r["status"] for r in skipped] == ["SKIPPED"] and "not concurrent" in skipped[0]["reason"]
    assert cron("DELETE", PREFIX + "/task/kill/alone").status_code == 204


def test_the_result_of_an_asynchronous_job_is_told_later(cron):
    body = {"name": "begins", "command": "true", "schedule": "R1//PT1H", "async": True}
    assert cron("POST", "/scheduler/iso8601", body).status_code == 204
    assert cron("POST", "/scheduler/dependency", child("follows", "begins")).status_code == 204

    def task():
        tasks = cron("GET", PREFIX + "/job/stat/begins").json()["taskStatHistory"]
        return tasks and tasks[0]["status"] == "Success" and tasks[0]["taskId"]
    task_id = cron.cluster.wait_until(task, 60, "the task")
    assert get(cron, "begins")["successCount"] == 0 and get(cron, "follows")["successCount"] == 0
    assert cron("PUT", f"/scheduler/task/{task_id}", {"statusCode": 1}).status_code == 204
    assert get(cron, "begins")["errorCount"] == 1
    assert cron("PUT", f"/scheduler/task/{task_id}", {"statusCode": 0}).status_code == 204
    assert get(cron, "begins")["successCount"] == 1
    ended(cron, "follows", 1)


def test_a_failure_is_tried_again_as_often_as_retries_say(cron):
    put(cron, job("third-time", command='test "$CHRONOS_JOB_RUN_ATTEMPT" = 2', retries=2))
    put(cron, job("never-well", command="exit 1", retries=1))
    for name in ("third-time", "never-well"):
        assert cron("PUT", f"{PREFIX}/job/{name}").status_code == 204
    ended(cron, "third-time", 1, 0)
    ended(cron, "never-well", 0, 1)
    run = cron("GET", "/v1/jobs/never-well/history").json()["runs"][0]
    assert [t["status"] for t in run["tasks"]] == ["TASK_FAILED", "TASK_FAILED"]
    ids = [t["id"].split(":") for t in cron("GET", "/v1/jobs/third-time/history").json()["runs"][0]["tasks"]]
    assert [i[0] for i in ids] == ["ct"] * 3 and [i[2] for i in ids] == ["0", "1", "2"] and ids[0][3] == "third-time"
