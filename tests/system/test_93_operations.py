# SPDX-License-Identifier: Apache-2.0
"""Reservations and persistent volumes of real processes, through the ends of tasks, of the agent and of the master."""
import json
import pathlib

import pytest
import requests

from conftest import Cluster, leftovers
from scheduler import Scheduler, amount, create, destroy, grow, reserve, scalar, shrink, unreserve

RESOURCES = "cpus:2;mem:1024;disk:4096;ports:[31000-31100];cpus(static):1;mem(static):128"
ROLE = "web"
CPUS, MEM, DISK = (scalar("cpus", 0.5, ROLE), scalar("mem", 64, ROLE), scalar("disk", 256, ROLE))


def volume(size=256, name="data"):
    return scalar("disk", size, ROLE, volume=name)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "state", options=["--agent_resources", RESOURCES])
    made.up("--empty")
    yield made
    done = made.down()
    assert done.returncode == 0, done.stderr + made.logs()
    assert not leftovers(made.dir)


@pytest.fixture
def scheduler(place):
    made = Scheduler(place)
    yield made
    made.close()


def folder(cluster, name="data", role=ROLE):
    return cluster.dir / "agent-1" / "volumes" / "roles" / role.replace("/", " ") / name


def agent_id(cluster):
    return requests.get(cluster.master + "/slaves", timeout=30).json()["slaves"][0]["id"]


def total(cluster):
    answer = requests.post(cluster.master + "/api/v1", json={"type": "GET_AGENTS"}, timeout=30).json()
    return answer["get_agents"]["agents"][0].get("total_resources", [])


def come_back(cluster, *roles):
    """Kills the roles by SIGKILL; returns when the agent is registered again."""
    for role in roles:
        cluster.kill_role(role)
    cluster.wait_until(lambda: requests.get(cluster.master + "/slaves", timeout=5).json()["slaves"][0]["active"], 30,
                       "the agent's registration")


def run_in_volume(scheduler, offer, command, disk):
    """A task that has the volume at ./data, to its end."""
    launch, task = scheduler.launch(offer, command, [CPUS, MEM, disk])
    scheduler.accept(offer, launch)
    return scheduler.task_state(task, "TASK_FINISHED")


def test_a_volume_lives_through_the_ends_of_everybody(place, scheduler):
    offer = scheduler.offer(lambda r: amount(r, "cpus") >= 0.5 and amount(r, "disk") >= 512)
    launch, task = scheduler.launch(offer, "echo kept > data/file; ls -ld data", [CPUS, MEM, volume()])
    scheduler.accept(offer, reserve(CPUS, MEM, DISK, id="reserve-1"), create(volume(), id="create-1"), launch)
    for operation in ("reserve-1", "create-1"):
        status = scheduler.operation(operation)
        assert status["agent_id"] == offer["agent_id"] and status["uuid"]["value"]
    scheduler.task_state(task, "TASK_FINISHED")
    assert (folder(place) / "file").read_text() == "kept\n"
    converted = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 256, "the volume in an offer")
    assert amount(converted["resources"], "cpus", ROLE) == 0.5 and amount(converted["resources"], "mem", ROLE) == 64

    for roles in (["agent-1"], ["master"], ["agent-1", "master"], ["master", "agent-1"]):
        come_back(place, *roles)
        offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 256 and amount(r, "cpus", ROLE) == 0.5,
                                f"the volume after the end of {roles}")
        name = "-".join(roles)
        run_in_volume(scheduler, offer, f"grep -qx kept data/file && echo {name} >> data/seen", volume())
        assert (folder(place) / "seen").read_text().splitlines()[-1] == name
    assert len((folder(place) / "seen").read_text().splitlines()) == 4

    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 256 and amount(r, "disk") >= 64, "disk to grow by")
    scheduler.accept(offer, grow(volume(), scalar("disk", 64, ROLE), id="grow-0"))
    scheduler.operation("grow-0", "OPERATION_ERROR")  # what is added is not reserved
    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 256 and amount(r, "disk") >= 64, "disk to grow by")
    scheduler.accept(offer, reserve(scalar("disk", 64, ROLE)), grow(volume(), scalar("disk", 64, ROLE), id="grow-1"))
    scheduler.operation("grow-1")
    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 320, "the grown volume")
    scheduler.accept(offer, shrink(volume(320), 120, id="shrink-1"))
    scheduler.operation("shrink-1")
    come_back(place, "agent-1", "master")
    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 200 and amount(r, "disk", ROLE) == 120,
                            "the shrunk volume")
    run_in_volume(scheduler, offer, "grep -qx kept data/file", volume(200))

    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 200)
    scheduler.accept(offer, unreserve(scalar("disk", 200, ROLE), id="too-early"))
    scheduler.operation("too-early", "OPERATION_ERROR")
    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE, "data") == 200)
    scheduler.accept(offer, destroy(volume(200), id="destroy-1"))
    scheduler.operation("destroy-1")
    assert not folder(place).exists() and folder(place).parent.exists()
    place.wait_until(lambda: not list((place.dir / "agent-1/volumes/removed").iterdir()), 10, "the removal of the data")
    offer = scheduler.offer(lambda r: amount(r, "disk", ROLE) == 320 and amount(r, "cpus", ROLE) == 0.5)
    scheduler.accept(offer, unreserve(CPUS, MEM, scalar("disk", 320, ROLE), id="unreserve-1"))
    scheduler.operation("unreserve-1")
    come_back(place, "agent-1")
    scheduler.offer(lambda r: amount(r, "disk") == 4096 and amount(r, "cpus") == 2 and not amount(r, "cpus", ROLE))


def test_an_end_is_told_until_it_is_acknowledged(place, scheduler):
    offer = scheduler.offer(lambda r: amount(r, "cpus") >= 0.5)
    scheduler.accept(offer, reserve(CPUS, id="kept"))
    first = scheduler.operation("kept", acknowledge=False)
    again = scheduler.operation("kept", acknowledge=False)
    assert first["uuid"] == again["uuid"]
    come_back(place, "agent-1")
    assert scheduler.operation("kept", acknowledge=False)["uuid"] == first["uuid"]
    come_back(place, "master")
    assert scheduler.operation("kept", acknowledge=False)["uuid"] == first["uuid"]

    def reconcile(*ids, **more):
        scheduler.call("RECONCILE_OPERATIONS", operations=[{"operation_id": {"value": i}} | more for i in ids])

    scheduler.events.clear()
    scheduler.call("RECONCILE_OPERATIONS", operations=[])
    scheduler.take(lambda e: e["type"] == "UPDATE_OPERATION_STATUS" and "uuid" not in
                   e["update_operation_status"]["status"], "an answer that asks for no acknowledgement")
    reconcile("no-such", agent_id={"value": agent_id(place)})
    status = scheduler.operation("no-such", "OPERATION_UNKNOWN")
    assert "uuid" not in status
    scheduler.operation("kept")  # acknowledged now
    place.wait_until(lambda: not requests.post(place.master + "/api/v1", json={"type": "GET_OPERATIONS"}, timeout=30).json()
                     ["get_operations"].get("operations"), 20, "the operation's record to go")
    reconcile("kept", agent_id={"value": agent_id(place)})
    scheduler.take(lambda e: e["type"] == "UPDATE_OPERATION_STATUS" and e["update_operation_status"]["status"]["state"] ==
                   "OPERATION_UNKNOWN", "an operation that is over")
    offer = scheduler.offer(lambda r: amount(r, "cpus", ROLE) == 0.5)
    scheduler.accept(offer, unreserve(CPUS, id="back"))
    scheduler.operation("back")


def test_operators_reserve_and_create(place):
    def call(kind, expect=202, **fields):
        answer = requests.post(place.master + "/api/v1", json={"type": kind, kind.lower(): {
            "agent_id": {"value": agent_id(place)}, **fields}}, timeout=30)
        assert answer.status_code == expect, answer.text
        return answer.text

    call("RESERVE_RESOURCES", resources=[DISK])
    call("CREATE_VOLUMES", volumes=[volume()])
    assert folder(place).is_dir() and amount(total(place), "disk", ROLE, "data") == 256
    assert "a persistent volume 'data' of role 'web' on this agent already" in call("CREATE_VOLUMES", 400, volumes=[volume()])
    (folder(place) / "file").write_text("there")
    call("RESERVE_RESOURCES", resources=[scalar("disk", 44, ROLE)])
    call("GROW_VOLUME", volume=volume(), addition=scalar("disk", 44, ROLE))
    come_back(place, "agent-1", "master")
    assert amount(total(place), "disk", ROLE, "data") == 300
    call("SHRINK_VOLUME", volume=volume(300), subtract={"value": 100})
    assert amount(total(place), "disk", ROLE, "data") == 200 and amount(total(place), "disk", ROLE) == 100
    assert (folder(place) / "file").read_text() == "there"
    call("UNRESERVE_RESOURCES", resources=[scalar("disk", 200, ROLE)], expect=409)
    call("DESTROY_VOLUMES", volumes=[volume(200)])
    assert not folder(place).exists()
    call("UNRESERVE_RESOURCES", resources=[scalar("disk", 300, ROLE)])
    assert amount(total(place), "disk") == 4096


def test_a_volume_in_use_is_not_destroyed(place, scheduler):
    offer = scheduler.offer(lambda r: amount(r, "cpus") >= 0.5 and amount(r, "disk") >= 512)
    launch, task = scheduler.launch(offer, "while [ ! -e data/go ]; do sleep 0.05; done", [CPUS, MEM, volume()])
    scheduler.accept(offer, reserve(CPUS, MEM, DISK), create(volume()), launch)
    scheduler.task_state(task, "TASK_RUNNING")
    refused = requests.post(place.master + "/destroy-volumes", timeout=30, data={
        "slaveId": agent_id(place), "volumes": json.dumps([volume()])})
    assert refused.status_code == 409, refused.text
    come_back(place, "agent-1", "master")
    refused = requests.post(place.master + "/destroy-volumes", timeout=30, data={
        "slaveId": agent_id(place), "volumes": json.dumps([volume()])})
    assert refused.status_code == 409, refused.text
    (folder(place) / "go").touch()
    scheduler.task_state(task, "TASK_FINISHED")
    place.wait_until(lambda: requests.post(place.master + "/destroy-volumes", timeout=30, data={
        "slaveId": agent_id(place), "volumes": json.dumps([volume()])}).status_code == 202, 10, "the volume to be free")
    offer = scheduler.offer(lambda r: amount(r, "cpus", ROLE) == 0.5 and amount(r, "disk", ROLE) == 256)
    scheduler.accept(offer, unreserve(CPUS, MEM, DISK, id="all-back"))
    scheduler.operation("all-back")


def test_old_endpoints_reserve_and_create(place):
    def post(path, key, resources, expect=202, agent=None):
        answer = requests.post(place.master + path, timeout=30, data={"slaveId": agent or agent_id(place),
                                                                      key: json.dumps(resources)})
        assert answer.status_code == expect, answer.text
        return answer.text

    old = {"name": "disk", "type": "SCALAR", "scalar": {"value": 128}, "role": "old", "reservation": {"principal": "p"}}
    made = old | {"disk": {"persistence": {"id": "v", "principal": "p"}, "volume": {"container_path": "x", "mode": "RW"}}}
    post("/reserve", "resources", [old])
    assert amount(total(place), "disk", "old") == 128
    post("/master/create-volumes", "volumes", [made])
    assert folder(place, "v", "old").is_dir()
    come_back(place, "master")
    slave = requests.get(place.master + "/slaves", timeout=30).json()["slaves"][0]
    shown = slave["reserved_resources_full"]["old"]
    assert len(shown) == 1 and shown[0]["disk"]["persistence"] == {"id": "v", "principal": "p"}
    assert shown[0]["role"] == "old" and shown[0]["reservation"] == {"principal": "p"}
    assert slave["reserved_resources"]["old"]["disk"] == 128
    post("/unreserve", "resources", [old], 409)
    post("/destroy-volumes", "volumes", [made])
    assert not folder(place, "v", "old").exists()
    post("/master/unreserve", "resources", [old])
    assert not amount(total(place), "disk", "old")
    post("/reserve", "resources", [old], 400, agent="no-such-agent")
    assert requests.post(place.master + "/reserve", data={"resources": "[]"}, timeout=30).status_code == 400
    assert requests.post(place.master + "/reserve", data={"slaveId": agent_id(place)}, timeout=30).status_code == 400
    assert requests.post(place.master + "/reserve", data={"slaveId": agent_id(place), "resources": "{"},
                         timeout=30).status_code == 400


def test_static_reservations_are_offered_to_their_role_alone(place):
    slave = requests.get(place.master + "/slaves", timeout=30).json()["slaves"][0]
    assert slave["reserved_resources"]["static"] == {"cpus": 1, "mem": 128, "gpus": 0, "disk": 0}
    assert slave["unreserved_resources"]["cpus"] == 2
    static = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "reservations": [{"type": "STATIC", "role": "static"}]}
    mem = {"name": "mem", "type": "SCALAR", "scalar": {"value": 128}, "reservations": [{"type": "STATIC", "role": "static"}]}
    other = Scheduler(place, roles=["other"])
    offer = other.offer(lambda r: amount(r, "cpus") == 2)
    assert not amount(offer["resources"], "cpus", "static")
    other.close()
    owner = Scheduler(place, roles=["static"])
    try:
        offer = owner.offer(lambda r: amount(r, "cpus", "static") == 1)
        launch, task = owner.launch(offer, "true", [static, mem])
        owner.accept(offer, launch, unreserve(static, id="never"))
        owner.operation("never", "OPERATION_ERROR")
        owner.task_state(task, "TASK_FINISHED")
        come_back(place, "agent-1")
        child = dict(static, reservations=static["reservations"] + [{"type": "DYNAMIC", "role": "static/child"}])
        refused = requests.post(place.master + "/unreserve", timeout=30, data={
            "slaveId": agent_id(place), "resources": json.dumps([static])})
        assert refused.status_code == 400, refused.text
        done = requests.post(place.master + "/reserve", timeout=30, data={
            "slaveId": agent_id(place), "resources": json.dumps([child])})
        assert done.status_code == 202, done.text
        come_back(place, "agent-1", "master")
        assert amount(total(place), "cpus", "static/child") == 1 and not amount(total(place), "cpus", "static")
        assert requests.post(place.master + "/unreserve", timeout=30, data={
            "slaveId": agent_id(place), "resources": json.dumps([child])}).status_code == 202
        assert amount(total(place), "cpus", "static") == 1
    finally:
        owner.close()
