# SPDX-License-Identifier: Apache-2.0
"""Every request and answer that the facts of Chronos's API state (net-cron E.1 to E.7), over a real socket; test_82 holds the
stories of runs. Where this scheduler differs on purpose, the row says `differs`; docs/cron.md lists those with their reasons."""
import re
import time

import pytest

from cron import Cron
from cron_pairs import ANY, JSON, Row, Some, Without, check, differs, filled

BAD, BROKEN = "Bad Request", "Internal Server Error"
V3, V2 = "/v1/scheduler", "/scheduler"
START = "2090-01-01T00:00:00Z"
TEXT = {"Content-Type": re.compile("^text/plain")}


def job(name, **more):
    return {"name": name, "command": "true", "schedule": f"R/{START}/P1D", **more}


def child(name, *parents, **more):
    return {"name": name, "command": "true", "parents": list(parents), **more}


def error(message, status=BAD):
    return {"status": status, "message": re.compile(message)}


@pytest.fixture(scope="module")
def cron(cluster):
    process = Cron(cluster, "--failure_retry", 200).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def state(cron):
    """Jobs that ROWS look at; they may change nothing."""
    for definition in (job("plain"), job("other", description="d"), job("tracked", dataProcessingJobType=True), job("search-1", command="echo One"),
                       job("search-2", command="echo two"), job("Search-3", command="echo one")):
        check(cron, Row("E.1", "POST", V3 + "/iso8601", 204, b"", definition))
    for definition in (child("child", "plain"), child("grandchild", "child", "other")):
        check(cron, Row("E.1", "POST", V3 + "/dependency", 204, b"", definition))
    return {"host": cron.url.removeprefix("http://")}


SHOWN = {"name": "plain", "command": "true", "shell": True, "executor": "", "executorFlags": "", "taskInfoData": "", "retries": 2,
         "owner": "", "ownerName": "", "description": "", "cpus": 0.1, "disk": 256.0, "mem": 128.0, "disabled": False,
         "softError": False, "dataProcessingJobType": False, "errorsSinceLastSuccess": 0, "fetch": [], "uris": [],
         "environmentVariables": [], "arguments": [], "highPriority": False, "runAsUser": str, "concurrent": False,
         "constraints": [], "successCount": 0, "errorCount": 0, "lastSuccess": "", "lastError": "",
         "schedule": "R/2090-01-01T00:00:00.000Z/P1D", "scheduleTimeZone": ""}
CHILD_SHOWN = {**{k: v for k, v in SHOWN.items() if not k.startswith("schedule")}, "name": "child", "parents": ["plain"]}
SUMMARY = {"name": "plain", "status": "fresh", "state": "idle", "schedule": SHOWN["schedule"], "parents": [], "disabled": False}
NO_STAT = {"histogram": {name: 0 for name in ("75thPercentile", "95thPercentile", "98thPercentile", "99thPercentile", "median", "mean",
                                             "count")}, "taskStatHistory": []}


def names_of(*names):
    return [Some(name=n) for n in names]


ROWS = [
    Row("E.1 ping", "GET", "/ping", 200, b"pong"),
    Row("E.1 metrics", "GET", "/metrics", 200, Some(gauges=dict, counters=dict), headers=JSON),
    Row("E.1 leader", "GET", V3 + "/leader", 200, {"leader": "{host}"}, headers=JSON),
    Row("E.1 leader", "GET", V2 + "/leader", 200, {"leader": "{host}"}),
    Row("E.1 leader", "GET", "/leader", 200, {"leader": "{host}"}),
    Row("E.1 jobs", "GET", V3 + "/jobs", 200, list, headers=JSON),
    Row("E.1 jobs", "GET", V2 + "/jobs", 200, list),
    Row("E.1 job", "GET", V3 + "/job/plain", 200, SHOWN, headers=JSON),
    Row("E.2 parents instead of a schedule", "GET", V3 + "/job/child", 200, CHILD_SHOWN),
    Row("E.2 no epsilon and async in v3", "GET", V3 + "/job/plain", 200, Without("epsilon", "async", "maxCompletionTime", "container")),
    Row("E.2 epsilon and async in 2.x", "GET", V2 + "/job/plain", 200, {**SHOWN, "epsilon": "PT60S", "async": False}),
    Row("E.1 summary", "GET", V3 + "/jobs/summary", 200, Some(jobs=list), headers=JSON),
    Row("E.1 stat", "GET", V3 + "/job/stat/plain", 200, NO_STAT, headers=JSON),
    *[Row("E.1 stats", "GET", f"{prefix}/stats/{name}", 200, list, headers=JSON) for prefix in (V3, V2)
      for name in ("99thPercentile", "98thPercentile", "95thPercentile", "75thPercentile", "median", "mean")],
    Row("E.1 dot", "GET", V3 + "/graph/dot", 200, re.compile(r"(?s)^digraph.*\{.*\"plain\" -> \"child\".*\}\s*$"), headers=TEXT),
    Row("E.1 dot: both parents", "GET", V3 + "/graph/dot", 200,
        re.compile(r"(?s)\"child\" -> \"grandchild\".*\"other\" -> \"grandchild\"")),
    Row("E.1 csv", "GET", V3 + "/graph/csv", 200, re.compile(r"(?m)^node,plain,fresh,idle$"), headers=TEXT),
    Row("E.1 csv", "GET", V3 + "/graph/csv", 200, re.compile(r"(?m)^link,plain,child$")),
    Row("E.1 csv", "GET", V2 + "/graph/csv", 200, re.compile(r"(?m)^link,other,grandchild$")),
    # search
    Row("E.1 search by name", "GET", V3 + "/jobs/search?name=SEARCH-", 200, names_of("search-1", "search-2", "Search-3"), headers=JSON),
    Row("E.1 search by command", "GET", V3 + "/jobs/search?command=one", 200, names_of("search-1", "Search-3")),
    Row("E.1 search by both", "GET", V3 + "/jobs/search?name=search-1&command=one", 200, names_of("search-1")),
    Row("E.1 search by any", "GET", V3 + "/jobs/search?any=ONE", 200, names_of("search-1", "Search-3")),
    Row("E.1 search by any", "GET", V3 + "/jobs/search?any=rch-2", 200, names_of("search-2")),
    Row("E.1 search, nothing found", "GET", V3 + "/jobs/search?name=nobody-has-this", 200, []),
    Row("E.1 search, limit", "GET", V3 + "/jobs/search?name=search&limit=2", 200, names_of("search-1", "search-2")),
    Row("E.1 search, offset", "GET", V3 + "/jobs/search?name=search&offset=2", 200, names_of("Search-3")),
    Row("E.1 search, a page", "GET", V3 + "/jobs/search?name=search&limit=1&offset=1", 200, names_of("search-2")),
    Row("E.1 search, behind the end", "GET", V3 + "/jobs/search?name=search&offset=1000000000000", 200, []),
    Row("E.1 search, limit 0", "GET", V3 + "/jobs/search?name=search&limit=0", 200, []),
    *[Row("E.1 search", "GET", f"{V3}/jobs/search?{query}", 400, error("limit and offset"))
      for query in ("limit=x", "limit=-1", "offset=-1", "offset=1.5", "limit=99999999999999999999")],
    # unknown names are 400, never 404
    *[Row("E.1 unknown job", method, path, 400, error("^Job 'nobody' not found$"), body, headers=JSON) for method, path, body in (
        ("GET", V3 + "/job/nobody", None), ("GET", V2 + "/job/nobody", None), ("PUT", V3 + "/job/nobody", None),
        ("PUT", V3 + "/job/nobody?arguments=a", None), ("DELETE", V3 + "/job/nobody", None), ("DELETE", V2 + "/job/nobody", None),
        ("GET", V3 + "/job/stat/nobody", None), ("PUT", V3 + "/job/success/nobody", None),
        ("DELETE", V3 + "/task/kill/nobody", None),
        ("POST", V3 + "/job/nobody/task/t/progress", {"numAdditionalElementsProcessed": 1}))],
    Row("E.1 progress", "POST", V3 + "/job/plain/task/t/progress", 400, error("not enabled to track"), {"numAdditionalElementsProcessed": 1}),
    Row("E.1 progress", "POST", V3 + "/job/tracked/task/t/progress", 400, error("no running task t"), {"numAdditionalElementsProcessed": 1}),
    Row("E.1 kill", "DELETE", V3 + "/task/kill/plain", 204, b""),
    Row("E.1 kill all, 2.x", "DELETE", V2 + "/task/all", 204, b""),
    Row("E.1 result of a task that is not asynchronous, 2.x", "PUT", V2 + "/task/ct:1:0:plain:", 400, error("asynchronous"), {"statusCode": 0}),
    # routes
    *[Row("E.1 unknown route", method, path, 404, error("", "Not Found"), body) for method, path, body in (
        ("GET", V3 + "/nothing", None), ("GET", V3 + "/job", None), ("GET", V3 + "/job/a/b", None), ("GET", V3 + "/graph/png", None),
        ("DELETE", V3 + "/task/all", None), ("PUT", V3 + "/task/t", {"statusCode": 0}))],
    Row("E.1 mark success is not in 2.x", "PUT", V2 + "/job/success/plain", 404, error("", "Not Found")),
    *[Row("E.1 another method", method, path, 405, error("", "Method Not Allowed")) for method, path in (
        ("PUT", V3 + "/iso8601"), ("PUT", V3 + "/dependency"), ("GET", V3 + "/iso8601"), ("DELETE", V3 + "/jobs"), ("POST", V3 + "/job/plain"),
        ("PATCH", V3 + "/job/plain"), ("POST", V3 + "/graph/dot"), ("GET", V3 + "/task/kill/plain"))],
    # bodies
    *[Row("E.1 malformed JSON", method, path, 400, error("."), raw=raw, headers=JSON)
      for method, path in (("POST", V3 + "/iso8601"), ("POST", V3 + "/dependency"), ("PUT", V2 + "/iso8601"),
                           ("POST", V3 + "/job/tracked/task/t/progress"))
      for raw in (b"{", b"", b"nul", b"\xff", b'{"name":"a"} b')],
    Row("E.1 another type", "POST", V3 + "/iso8601", 415, error("", "Unsupported Media Type"), raw=b"{}", sent={"Content-Type": "text/plain"}),
    *[Row("E.1 not an object", "POST", path, 400, error("object"), raw=raw) for path in (V3 + "/iso8601", V3 + "/dependency")
      for raw in (b"[]", b'"a"', b"1", b"null")],
    # definitions
    *[Row("E.2 name", "POST", V3 + "/iso8601", 400, error("name"), job(name)) for name in ("", "a b", "a/b", "ä", "a:b", "a*", 7)],
    Row("E.2 command", "POST", V3 + "/iso8601", 400, error("command"), {"name": "x", "schedule": "R//P1D"}),
    *[Row(f"E.2 {key}", "POST", V3 + "/iso8601", 400, error(key), job("x", **{key: value})) for key, value in (
        ("shell", "perhaps"), ("arguments", "a"), ("arguments", [1]), ("retries", "x"), ("retries", -1), ("retries", 1.5), ("owner", 1),
        ("cpus", "many"), ("cpus", -1), ("mem", {}), ("disk", []), ("disabled", "perhaps"), ("softError", 2), ("fetch", {}),
        ("fetch", [{}]), ("fetch", ["a"]), ("uris", [1]), ("environmentVariables", {}), ("environmentVariables", [{"name": "A"}]),
        ("environmentVariables", [{"value": "A"}]), ("environmentVariables", ["A=b"]), ("highPriority", "x"), ("runAsUser", 0),
        ("concurrent", "x"), ("maxCompletionTime", "x"), ("container", "x"), ("constraints", "x"), ("schedule", 1),
        ("scheduleTimeZone", 1))],
    Row("E.2 both uris and fetch", "POST", V3 + "/iso8601", 400, error("both uri"), job("x", uris=["http://a/b"], fetch=[{"uri": "http://a/c"}])),
    *[Row("E.2 constraints", "POST", V3 + "/iso8601", 400, error("constraint"), job("x", constraints=[c])) for c in (
        ["rack"], ["rack", "EQUALS"], ["rack", "NEAR", "a"], ["rack", "EQUALS", "a", "b"], "rack", ["rack", "LIKE", "("], [1, "EQUALS", "a"])],
    Row("E.2 image (differs: not supported)", "POST", V3 + "/iso8601", 400, error("images are not supported"),
        job("x", container={"type": "DOCKER", "image": "busybox"})),
    Row("E.2 executor (differs: not supported)", "POST", V3 + "/iso8601", 400, error("executor"), job("x", executor="/bin/e")),
    *[Row("E.3 form", "POST", V3 + "/iso8601", 400, error("."), job("x", schedule=text)) for text in (
        "FOO", "", f"R/{START}", f"R/{START}/{START}", f"R/P1D/{START}", "P1D", f"{START}/P1D", f"Rx/{START}/P1D", f"R-1/{START}/P1D",
        f"R/{START}/1D", f"R/{START}/P1X", f"R/{START}/P1DT", f"R/{START}/PT1D", f"R/{START}/P1D/P1D", "R/2090-13-01T00:00:00Z/P1D",
        "R/2090-02-30T00:00:00Z/P1D", "R/2090-01-01T25:00:00Z/P1D", "R/yesterday/P1D", f"R99999999999999999999/{START}/P1D",
        f"r/{START}/P1D", f" R/{START}/P1D")],
    Row("E.3 too early", "POST", V3 + "/iso8601", 400, error("1970-01-01T00:00:01Z"), job("x", schedule="R/1970-01-01T00:00:00Z/P1D")),
    Row("E.3 unknown zone (differs: not GMT)", "POST", V3 + "/iso8601", 400, error("time zone"), job("x", scheduleTimeZone="Mars/Olympus")),
    # dependencies
    Row("E.7 missing parent (differs from v3: refused, as in 2.4)", "POST", V3 + "/dependency", 400, error("parent does not exist.*nobody"),
        child("x", "plain", "nobody")),
    Row("E.7 no parents", "POST", V3 + "/dependency", 400, error("parent does not exist"), child("x")),
    Row("E.7 parents of another type", "POST", V3 + "/dependency", 400, error("parents"), {**child("x"), "parents": "plain"}),
    Row("E.7 a cycle", "POST", V3 + "/dependency", 500, error("[Cc]ycle", BROKEN), child("plain", "grandchild")),
    Row("E.7 a cycle", "POST", V3 + "/dependency", 500, error("[Cc]ycle", BROKEN), child("child", "child")),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r} {str(r.raw or r.body or '')[:60]}")
def test_row(cron, state, row):
    check(cron, row, state)
    if row.status >= 400:
        check(cron, Row("nothing is changed", "GET", V3 + "/job/plain", 200, SHOWN))
        check(cron, Row("nothing is created", "GET", V3 + "/job/x", 400))


def listed(cron, path, name):
    jobs = check(cron, Row("E.1", "GET", path, 200)).json()
    jobs = jobs["jobs"] if isinstance(jobs, dict) else jobs
    return [j for j in jobs if j["name"] == name]


def test_a_job_in_the_lists(cron, state):
    """E.1: uris and fetch each filled from the other in /jobs, and only there; the members of the summary."""
    check(cron, Row("E.1", "POST", V3 + "/iso8601", 204, b"", job("fetches", uris=["http://a/b"])))
    fetched = {"uri": "http://a/b", "executable": False, "cache": False, "extract": True}
    assert differs([Some(uris=["http://a/b"], fetch=[fetched])], listed(cron, V3 + "/jobs", "fetches")) is None
    check(cron, Row("E.1", "GET", V3 + "/job/fetches", 200, Some(uris=["http://a/b"], fetch=[])))
    check(cron, Row("E.1", "POST", V3 + "/iso8601", 204, b"", job("fetches", fetch=[fetched])))
    assert differs([Some(uris=["http://a/b"], fetch=[fetched])], listed(cron, V3 + "/jobs", "fetches")) is None
    check(cron, Row("E.1", "GET", V3 + "/job/fetches", 200, Some(uris=[], fetch=[fetched])))
    check(cron, Row("E.1", "DELETE", V3 + "/job/fetches", 204, b""))
    assert listed(cron, V3 + "/jobs", "fetches") == []
    assert differs([filled(SUMMARY, state)], listed(cron, V3 + "/jobs/summary", "plain")) is None
    assert differs([{**SUMMARY, "name": "grandchild", "schedule": ANY, "parents": ["child", "other"]}],
                   listed(cron, V2 + "/jobs/summary", "grandchild")) is None


# (text of the schedule, zone, as it is shown: the start, and count and period where they change)
SCHEDULES = [
    ("R5/2090-03-01T13:00:00Z/P1D", "", "R5/2090-03-01T13:00:00.000Z/P1D"),
    ("R/2090-03-01T13:00:00.250Z/PT1H30M", "", "R/2090-03-01T13:00:00.250Z/PT1H30M"),
    ("R/2090-03-01T13:00:00+02:00/P1D", "", "R/2090-03-01T13:00:00.000+02:00/P1D"),
    ("R/2090-03-01T13:00:00Z/P1Y2M3W4DT5H6M7S", "", "R/2090-03-01T13:00:00.000Z/P1Y2M3W4DT5H6M7S"),
    ("R/2090-03-01T13:00:00Z/P1D", "Europe/Paris", "R/2090-03-01T13:00:00.000+01:00/P1D"),
    ("R/2090-03-01T13:00:00Z/P1D", "PST", "R/2090-03-01T13:00:00.000-08:00/P1D"),
    ("R/2090-03-01T13:00:00-04:00/P1D", "PST", "R/2090-03-01T13:00:00.000-08:00/P1D"),
    ("R/2090-03-01T13:00:00Z/P1D", "BST", "R/2090-03-01T13:00:00.000+06:00/P1D"),
    ("R/2090-03-01/P1D", "PST", "R/2090-03-01T00:00:00.000-08:00/P1D"),
    ("R0/2090-03-01T13:00:00Z/P1D", "", "R0/2090-03-01T13:00:00.000Z/P1D"),
    ("R/2090-03-01T13:00:00Z/PT0S", "", "R/2090-03-01T13:00:00.000Z/PT0S"),
    ("R/2090-03-01T13:00:00Z/P", "", "R/2090-03-01T13:00:00.000Z/P"),
]


@pytest.mark.parametrize("text, zone, told", SCHEDULES, ids=[f"{s[0]} {s[1]}" for s in SCHEDULES])
def test_a_schedule_is_taken(cron, text, zone, told):
    """E.3"""
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", job("timed", schedule=text, scheduleTimeZone=zone)))
    check(cron, Row("E.3", "GET", V3 + "/job/timed", 200, Some(schedule=told, scheduleTimeZone=zone)))
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", check(cron, Row("E.3", "GET", V3 + "/job/timed", 200)).json()))
    check(cron, Row("E.3 as it was", "GET", V3 + "/job/timed", 200, Some(schedule=told, scheduleTimeZone=zone)))
    check(cron, Row("E.1", "DELETE", V3 + "/job/timed", 204))


def test_the_start_may_be_early_in_an_update_only(cron):
    """E.3"""
    late = job("early", schedule="R0/2090-01-01T00:00:00Z/P1D")
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", late))
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", {**late, "schedule": "R0/1960-01-01T00:00:00Z/P1D"}))
    check(cron, Row("E.1", "DELETE", V3 + "/job/early", 204))


def ended(cron, name, successes, failures):
    def done():
        told = cron("GET", f"{V3}/job/{name}").json()
        return (told["successCount"], told["errorCount"]) == (successes, failures) and told
    return cron.cluster.wait_until(done, 60, f"{successes} successes and {failures} failures of {name}")


ADVANCED = [  # (count, seconds ago, period, count afterwards)
    ("R3", 90, "P1D", "R2"), ("R1", 90, "P1D", "R0"), ("R", 90, "P1D", "R"), ("R5", 300, "PT2M", "R4"), ("R1", 86400, "PT0S", "R0")]


@pytest.mark.parametrize("count, ago, period, left", ADVANCED)
def test_a_schedule_advances(cron, count, ago, period, left):
    """E.4: however many periods were missed, one run and one less of the count; the start is past now."""
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
    check(cron, Row("E.4", "POST", V3 + "/iso8601", 204, b"", job("advances", schedule=f"{count}/{start}/{period}")))
    told = ended(cron, "advances", 1, 0)
    now, shown_count = time.strftime("%Y-%m-%dT%H:%M:%S"), told["schedule"].split("/")[0]
    assert shown_count == left, told
    assert told["disabled"] == (left == "R0")
    if left != "R0":
        assert told["schedule"].split("/")[1] > now
    check(cron, Row("E.4 stays listed", "GET", V3 + "/job/advances", 200))
    check(cron, Row("E.1", "DELETE", V3 + "/job/advances", 204))


def test_r0_never_runs(cron):
    """E.3"""
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", job("zero", schedule="R0/2000-01-01T00:00:00Z/PT1S")))
    check(cron, Row("E.3", "POST", V3 + "/iso8601", 204, b"", job("zero-mark", schedule="R1//P1D")))
    ended(cron, "zero-mark", 1, 0)
    check(cron, Row("E.3", "GET", V3 + "/job/zero", 200, Some(successCount=0, errorCount=0)))
    assert cron("GET", "/v1/jobs/zero/runs").json() == []


def test_a_failure_is_counted_and_its_children_wait_for_the_mark(cron):
    """E.1, E.6, E.7: status in the lists after each."""
    check(cron, Row("E.1", "POST", V3 + "/iso8601", 204, b"", job("fails", command="exit 1", retries=0)))
    check(cron, Row("E.1", "POST", V3 + "/dependency", 204, b"", child("waits", "fails")))
    check(cron, Row("E.1", "PUT", V3 + "/job/fails", 204, b""))
    told = ended(cron, "fails", 0, 1)
    assert told["errorsSinceLastSuccess"] == 1 and told["lastError"] and told["lastSuccess"] == ""
    check(cron, Row("E.1", "GET", V3 + "/graph/csv", 200, re.compile("(?m)^node,fails,failure,idle$")))
    assert listed(cron, V3 + "/jobs/summary", "fails")[0]["status"] == "failure"
    check(cron, Row("E.1", "PUT", V3 + "/job/success/fails", 200, b"marked job fails as successful: true", headers=TEXT))
    told = ended(cron, "fails", 1, 1)
    assert told["errorsSinceLastSuccess"] == 0 and told["lastSuccess"]
    ended(cron, "waits", 1, 0)
    check(cron, Row("E.1", "GET", V3 + "/graph/csv", 200, re.compile("(?m)^node,waits,success,idle$")))
    stat = check(cron, Row("E.1", "GET", V3 + "/job/stat/waits", 200)).json()
    moment = re.compile(r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d$")
    assert differs([{"taskId": re.compile("^ct:"), "jobName": "waits", "slaveId": str, "startTime": moment, "endTime": moment,
                     "duration": str, "status": "Success", "numElementsProcessed": 0}], stat["taskStatHistory"]) is None
    assert stat["histogram"]["count"] == 1
    times = check(cron, Row("E.1", "GET", V3 + "/stats/99thPercentile", 200)).json()
    assert differs([{"jobNameLabel": "waits", "time": float}], [t for t in times if t["jobNameLabel"] == "waits"]) is None
    for name in ("waits", "fails"):
        check(cron, Row("E.1", "DELETE", f"{V3}/job/{name}", 204, b""))


@pytest.fixture(scope="module")
def compat(cluster, tmp_path_factory):
    """Another scheduler of the same cluster, as Chronos does it."""
    process = Cron(cluster, "--failure_retry", 200, "--chronos_compat=true", "--disable_after_failures", 3, "--framework_name", "compat")
    process.work_dir = tmp_path_factory.mktemp("compat")
    process.start()
    yield process
    process.stop()


def tasks_of_newest(cron, name):
    return len(cron("GET", f"/v1/jobs/{name}/history").json()["runs"][0]["tasks"])


def test_a_job_that_failed_gets_no_retries_until_it_succeeds(compat):
    """E.6, in compat mode: and after so many failures in a row it is disabled."""
    check(compat, Row("E.6", "POST", V3 + "/iso8601", 204, b"", job("moody", command='test -e "$MARK"', retries=1)))
    failures = []
    for count in (1, 2, 3):
        check(compat, Row("E.6", "PUT", V3 + "/job/moody", 204, b""))
        told = ended(compat, "moody", 0, count)
        failures.append((tasks_of_newest(compat, "moody"), told["disabled"]))
    assert failures == [(2, False), (1, False), (1, True)]
    check(compat, Row("E.6 enabled again", "POST", V3 + "/iso8601", 204, b"", job("moody", command="true", retries=1)))
    check(compat, Row("E.6", "PUT", V3 + "/job/moody", 204, b""))
    ended(compat, "moody", 1, 3)
    check(compat, Row("E.6", "POST", V3 + "/iso8601", 204, b"", job("moody", command="exit 1", retries=1)))
    check(compat, Row("E.6", "PUT", V3 + "/job/moody", 204, b""))
    assert not ended(compat, "moody", 1, 4)["disabled"] and tasks_of_newest(compat, "moody") == 2


def test_a_job_that_failed_is_tried_again_otherwise(cron):
    """E.6 (differs: retries belong to a run)"""
    check(cron, Row("E.6", "POST", V3 + "/iso8601", 204, b"", job("steady", command="exit 1", retries=1)))
    for count in (1, 2):
        check(cron, Row("E.6", "PUT", V3 + "/job/steady", 204, b""))
        assert not ended(cron, "steady", 0, count)["disabled"]
        assert tasks_of_newest(cron, "steady") == 2


def test_a_job_that_was_disabled_for_its_failures_begins_anew(compat):
    """E.6: who enables it again gives it as many failures as before."""
    check(compat, Row("E.6", "POST", V3 + "/iso8601", 204, b"", job("hopeless", command="exit 1", retries=0)))
    for count, is_disabled in ((1, False), (2, False), (3, True)):
        check(compat, Row("E.6", "PUT", V3 + "/job/hopeless", 204, b""))
        assert ended(compat, "hopeless", 0, count)["disabled"] == is_disabled
    check(compat, Row("E.6", "POST", V3 + "/iso8601", 204, b"", job("hopeless", command="exit 1", retries=0)))
    check(compat, Row("E.6", "GET", V3 + "/job/hopeless", 200, Some(disabled=False, errorsSinceLastSuccess=0, errorCount=3)))
    for count, is_disabled in ((4, False), (5, False), (6, True)):
        check(compat, Row("E.6", "PUT", V3 + "/job/hopeless", 204, b""))
        assert ended(compat, "hopeless", 0, count)["disabled"] == is_disabled
