# SPDX-License-Identifier: Apache-2.0
"""A cluster in which every part asks who is there."""
import base64
import hmac
import json
import os
import pathlib
import stat
import subprocess

import pytest
import requests

from conftest import Cluster, leftovers, pid_ends, processes_mentioning


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "state", options=["--secure"])
    made.watch = lambda: None  # its readers show no credential
    made.printed = made.up("--empty")
    yield made
    done = made.down()
    assert done.returncode == 0, done.stderr + made.logs()
    assert not leftovers(made.dir)


def secrets_of(cluster):
    return {p.stem: p.read_text().strip() for p in (cluster.dir / "secrets").glob("*.secret")}


def urls(cluster):
    agent = f"http://127.0.0.1:{cluster.ports[2]}"
    return {"master": [cluster.master + p for p in ("/state", "/master/state", "/flags", "/metrics/snapshot", "/files/browse",
                                                    "/tasks", "/state/below/it")],
            "agent": [agent + p for p in ("/state", "/slave(1)/state", "/files/browse?path=/", "/monitor/statistics",
                                          "/containers", "/metrics/snapshot", "/flags")],
            "marathon": [cluster.marathon + p for p in ("/v2/apps", "/v2/info", "/ping")],
            "cron": [cluster.cron + p for p in ("/v1/jobs", "/v1/metrics")]}


def test_nobody_is_answered_without_a_credential(secure):
    operator = ("operator", secrets_of(secure)["operator"])
    for part, all_urls in urls(secure).items():
        for url in all_urls:
            answer = requests.get(url, timeout=10)
            if answer.status_code != 404:
                assert answer.status_code == 401 and answer.text == "", url
                assert answer.headers["WWW-Authenticate"].startswith('Basic realm="'), url
            assert requests.get(url, auth=("operator", "wrong"), timeout=10).status_code in (401, 404), url
            assert requests.get(url, auth=operator, timeout=10).status_code in (200, 400, 404), url
    for body in ({"type": "GET_STATE"}, {"type": "SUBSCRIBE"}, {"type": "TEARDOWN"}):
        assert requests.post(secure.master + "/api/v1", json=body, timeout=10).status_code == 401
        assert requests.post(urls(secure)["agent"][0].removesuffix("/state") + "/api/v1", json=body, timeout=10).status_code == 401
    assert requests.get(secure.master + "/health", timeout=10).status_code == 200


def test_a_stranger_cannot_be_a_framework(secure):
    url = secure.master + "/api/v1/scheduler"
    info = {"user": "root", "name": "stranger"}
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
    assert requests.post(url, json=call, timeout=10).status_code == 401
    info["principal"] = "marathon"
    dns = ("dns", secrets_of(secure)["dns"])
    answer = requests.post(url, json=call, auth=dns, timeout=10)
    assert answer.status_code == 400 and "principal" in answer.text
    info["principal"] = "dns"
    with requests.post(url, json=call, auth=dns, timeout=10, stream=True) as answer:
        assert answer.status_code == 200 and "Not authorized to use role" in answer.text  # the stream has ended
    quota = {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "a", "weight": 2}]}}
    assert requests.post(secure.master + "/api/v1", json=quota, auth=dns, timeout=10).status_code == 403


def test_a_stranger_cannot_be_an_executor(secure):
    url = f"http://127.0.0.1:{secure.ports[2]}/api/v1/executor"
    call = {"type": "SUBSCRIBE", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}, "subscribe": {}}
    for header in ({}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Bearer " + "eyJhbGciOiJub25lIn0.eyJmaWQiOiJmIn0."}):
        answer = requests.post(url, json=call, headers=header, timeout=10)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith('Bearer realm="mesos-agent-executor"')
    operator = ("operator", secrets_of(secure)["operator"])
    assert requests.post(url, json=call, auth=operator, timeout=10).status_code == 401


def token(key, claims):
    def encode(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")
    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (signed + b"." + encode(hmac.digest(key, signed, "sha256"))).decode()


def environments(text):
    """Of every process that has the text in its environment."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            raw = (entry / "environ").read_bytes().decode(errors="replace")
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in raw:
            yield line, dict(item.split("=", 1) for item in raw.split("\0") if "=" in item)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees the environment of the executor")
def test_an_executors_token_is_for_its_own_run_and_not_for_tasks(secure):
    operator = ("operator", secrets_of(secure)["operator"])
    url = f"http://127.0.0.1:{secure.ports[2]}"
    app = {"id": "/token", "cmd": "exec sleep 4321", "cpus": 0.1, "mem": 32}
    assert requests.post(secure.marathon + "/v2/apps", json=app, auth=operator, timeout=30).status_code == 201
    secure.wait_until(lambda: [1 for line, _ in environments("token.instance-") if "4321" in line], 30)
    found = list(environments("token.instance-"))
    name = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN"
    assert all(name not in environment for line, environment in found if "4321" in line)
    own = next(e for _, e in found if name in e)
    assert own[name] == ""  # the executor keeps it where nobody can look
    claims = {"fid": own["MESOS_FRAMEWORK_ID"], "eid": own["MESOS_EXECUTOR_ID"],
              "cid": pathlib.Path(own["MESOS_DIRECTORY"]).name}
    key = (secure.dir / "secrets/executors.key").read_bytes()
    bearer, old = ({"Authorization": "Bearer " + token(key, c)} for c in (claims, claims | {"cid": "an-earlier-run"}))
    call = {"type": "SUBSCRIBE", "framework_id": {"value": own["MESOS_FRAMEWORK_ID"]}, "executor_id": {"value": "another"},
            "subscribe": {}}
    assert requests.post(url + "/api/v1/executor", json=call, headers=bearer, timeout=10).status_code == 403
    assert requests.post(url + "/api/v1", json={"type": "GET_STATE"}, headers=bearer, timeout=10).status_code == 403
    assert requests.get(url + "/state", headers=bearer, timeout=10).status_code == 401
    call["executor_id"]["value"] = own["MESOS_EXECUTOR_ID"]
    assert requests.post(url + "/api/v1/executor", json=call, headers=old, timeout=10).status_code == 403
    with requests.post(url + "/api/v1/executor", json=call, headers=bearer, timeout=10, stream=True) as answer:
        assert answer.status_code == 200
    secure.run("app", "remove", "/token")


def test_a_stranger_cannot_be_an_agent(secure, tmp_path):
    other = tmp_path / "credential"
    other.write_text(json.dumps({"principal": "agent", "secret": "guessed"}))
    other.chmod(0o600)
    for more, why in (([], "it wants a --credential"), (["--credential", other], "does not know the --credential")):
        agent = subprocess.Popen(secure.command("agent", "--master", secure.master.removeprefix("http://"), "--work_dir",
                                                tmp_path / "agent", "--port", "0", *more), stderr=subprocess.PIPE, text=True)
        try:
            lines = ""
            while why not in lines:
                line = agent.stderr.readline()
                assert line, lines
                lines += line
        finally:
            agent.terminate()
            assert agent.wait(20) == 0
            agent.stderr.close()
    assert len(json.loads(secure.run("node", "list", "--json").stdout)) == 1


def test_web_pages_of_others_cannot_write_nor_rebind(secure):
    operator = ("operator", secrets_of(secure)["operator"])
    agent = f"http://127.0.0.1:{secure.ports[2]}"
    for url in (secure.master + "/api/v1", agent + "/api/v1", secure.marathon + "/v2/apps", secure.cron + "/v1/jobs"):
        foreign = {"Origin": "http://evil.com"}
        assert requests.post(url, json={"type": "GET_HEALTH"}, headers=foreign, auth=operator, timeout=10).status_code == 403
        rebound = {"Host": "evil.com"}
        assert requests.post(url, json={"type": "GET_HEALTH"}, headers=rebound, auth=operator, timeout=10).status_code == 403
        own = {"Origin": url[:url.index("/", 8)]}
        assert requests.post(url, json={"type": "GET_HEALTH"}, headers=own, auth=operator, timeout=10).status_code != 403


def test_secrets_are_in_their_files_only(secure):
    for path in [secure.dir / "secrets", *(secure.dir / "secrets").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) in (0o700, 0o600), path
    for name, secret in secrets_of(secure).items():
        assert len(secret) == 64
        assert secret not in secure.logs() and secret not in secure.printed
        assert not processes_mentioning(secret), name
        for url in urls(secure)["master"][:3] + urls(secure)["agent"][:1] + [secure.marathon + "/v2/info"]:
            assert secret not in requests.get(url, auth=("operator", secrets_of(secure)["operator"]), timeout=10).text
        for pid, line in processes_mentioning(str(secure.dir)):
            if line.split(" ")[0].endswith("muster"):
                assert secret.encode() not in pathlib.Path("/proc", str(pid), "environ").read_bytes()


def test_commands_show_the_clusters_credential(secure):
    assert secure.run("status").returncode == 0
    done = secure.run("app", "list", "--marathon", secure.marathon, check=False)  # an address of anybody
    assert done.returncode == 1 and "asks for a --credential" in done.stderr
    done = secure.run("app", "list", "--marathon", secure.marathon, "--credential", secure.dir / "secrets/operator")
    assert done.returncode == 0
    line = next(line for line in secure.printed.splitlines() if line.strip().startswith("curl --config"))
    assert json.loads(subprocess.run(line.split(), capture_output=True, timeout=30).stdout)["slaves"]


@pytest.mark.skipif(os.geteuid() != 0, reason="what a container sees can only be limited by root here")
def test_a_task_cannot_read_the_secrets(secure):
    auth = ("operator", secrets_of(secure)["operator"])
    app = {"id": "/spy", "cmd": f"cat {secure.dir}/secrets/* > seen 2>&1; cd {secure.dir} && ls -A secrets master marathon cron log >> $OLDPWD/seen; cd $OLDPWD; touch done; sleep 1000",
           "cpus": 0.1, "mem": 32}
    assert requests.post(secure.marathon + "/v2/apps", json=app, auth=auth, timeout=30).status_code == 201
    secure.wait_until(lambda: list(secure.dir.glob("agent-1/slaves/*/frameworks/*/executors/*/runs/*/done")), 30)
    seen = next(secure.dir.glob("agent-1/slaves/*/frameworks/*/executors/*/runs/*/seen")).read_text()
    assert "No such file" in seen, seen
    assert sorted(line for line in seen.splitlines()[1:] if line) == ["cron:", "log:", "marathon:", "master:", "secrets:"], seen
    secure.run("app", "remove", "/spy")


def test_a_part_that_was_killed_comes_back_in(secure):
    for name in ("agent-1", "marathon", "master"):
        secure.kill_role(name)
    secure.wait_until(lambda: "1 agents, 2 frameworks" in secure.run("status").stdout, 40)


def test_a_secure_cluster_stays_so(make_cluster):
    cluster = make_cluster(options=["--secure"])
    cluster.watch = lambda: None
    cluster.up("--empty")
    before = secrets_of(cluster)
    assert cluster.down().returncode == 0
    cluster.options = []
    cluster.up("--empty")
    assert secrets_of(cluster) == before
    assert requests.get(cluster.master + "/state", timeout=10).status_code == 401
