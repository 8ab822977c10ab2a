# SPDX-License-Identifier: Apache-2.0
"""What the scheduler API answers to calls it does not accept, in the order in which it looks (facts: mesos 0.2, 0.3, 1.1, 1.2)."""
import pytest

from frame import ABSENT, FRAMEWORK, Ask, Http, Row, Silence, cases, run_row

SUBSCRIBE = {"type": "SUBSCRIBE", "subscribe": {"framework_info": FRAMEWORK}}
UUID16 = "AAAAAAAAAAAAAAAAAAAAAA=="
JSON = {"Content-Type": "application/json"}


def bare(call, status, **more):
    """A call that no subscription stands behind."""
    return Ask("scheduler", {"framework_id": ABSENT, **call}, status, headers={"Mesos-Stream-Id": None}, **more)


def needs(kind, says=None, **body):
    """A call of a subscribed framework that misses something."""
    return Row("1.2", says or f"{kind} without its sub-message is 400", [Ask("scheduler", {"type": kind, **body}, 400)])


ROWS = [
    Row("1.2", "a call without type is 400", [Ask("scheduler", {}, 400)]),
    Row("1.2", "SUBSCRIBE without subscribe is 400", [Ask("scheduler", {"type": "SUBSCRIBE"}, 400)]),
    Row("1.2", "SUBSCRIBE whose framework_id is set and whose info has no id is 400",
        [Ask("scheduler", {**SUBSCRIBE, "framework_id": {"value": "x"}}, 400)]),
    Row("1.2", "SUBSCRIBE whose info has an id and whose framework_id is not set is 400",
        [Ask("scheduler", {"type": "SUBSCRIBE", "subscribe": {"framework_info": FRAMEWORK | {"id": {"value": "x"}}}}, 400)]),
    Row("1.2", "SUBSCRIBE with two different ids is 400",
        [Ask("scheduler", {"type": "SUBSCRIBE", "framework_id": {"value": "y"},
                           "subscribe": {"framework_info": FRAMEWORK | {"id": {"value": "x"}}}}, 400)]),
    Row("1.2", "a call without framework_id is 400", [Ask("scheduler", {"type": "REVIVE", "framework_id": ABSENT}, 400)]),
    Row("1.2", "TEARDOWN without framework_id is 400", [Ask("scheduler", {"type": "TEARDOWN", "framework_id": ABSENT}, 400)]),
    *[needs(kind) for kind in ("ACCEPT", "DECLINE", "KILL", "SHUTDOWN", "ACKNOWLEDGE", "RECONCILE", "MESSAGE", "REQUEST",
                               "UPDATE_FRAMEWORK", "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS",
                               "ACKNOWLEDGE_OPERATION_STATUS", "RECONCILE_OPERATIONS")],
    *[Row("1.2", f"{kind} needs no sub-message", [Ask("scheduler", {"type": kind}, 202)]) for kind in ("REVIVE", "SUPPRESS")],
    *[needs("ACKNOWLEDGE", f"ACKNOWLEDGE whose uuid has {size} bytes is 400", acknowledge={
        "agent_id": {"value": "$agent"}, "task_id": {"value": "t"}, "uuid": text})
      for size, text in ((0, ""), (1, "AA=="), (15, "AAAAAAAAAAAAAAAAAAAA"), (17, "AAAAAAAAAAAAAAAAAAAAAAA="))],
    Row("1.2", "ACKNOWLEDGE of 16 bytes is accepted whatever they are", [Ask("scheduler", {"type": "ACKNOWLEDGE", "acknowledge": {
        "agent_id": {"value": "$agent"}, "task_id": {"value": "t"}, "uuid": UUID16}}, 202), Silence()]),
    needs("ACKNOWLEDGE_OPERATION_STATUS", "ACKNOWLEDGE_OPERATION_STATUS whose uuid has 4 bytes is 400",
          acknowledge_operation_status={"agent_id": {"value": "$agent"}, "uuid": "AAAAAA==", "operation_id": {"value": "o"}}),
    needs("ACKNOWLEDGE_OPERATION_STATUS", "ACKNOWLEDGE_OPERATION_STATUS without agent_id is 400",
          acknowledge_operation_status={"uuid": UUID16, "operation_id": {"value": "o"}}),
    needs("UPDATE_FRAMEWORK", "UPDATE_FRAMEWORK whose info has no id is 400", update_framework={"framework_info": FRAMEWORK}),
    needs("UPDATE_FRAMEWORK", "UPDATE_FRAMEWORK with another id is 400",
          update_framework={"framework_info": FRAMEWORK | {"id": {"value": "other"}}}),
    Row("1.2", "SUBSCRIBE that only takes text is 406", [Ask("scheduler", SUBSCRIBE, 406, headers={"Accept": "text/plain"})]),
    Row("0.7", "SUBSCRIBE with an empty Accept is 406", [Ask("scheduler", SUBSCRIBE, 406, headers={"Accept": ""})]),
    Row("0.2", "SUBSCRIBE that refuses both types by q=0 is 406", [Ask("scheduler", SUBSCRIBE, 406, headers={
        "Accept": "application/json;q=0, application/x-protobuf;q=0"})]),
    Row("1.1", "other calls do not look at Accept", [Ask("scheduler", {"type": "REVIVE"}, 202, headers={"Accept": "text/plain"})]),
    Row("1.1", "RECONCILE_OPERATIONS looks at Accept", [Ask("scheduler", {
        "type": "RECONCILE_OPERATIONS", "reconcile_operations": {}}, 406, headers={"Accept": "text/plain"})]),
    Row("1.2", "SUBSCRIBE with a stream id is 400", [Ask("scheduler", SUBSCRIBE, 400, headers={"Mesos-Stream-Id": "x"})]),
    Row("1.2", "Accept is looked at before a stream id on SUBSCRIBE",
        [Ask("scheduler", SUBSCRIBE, 406, headers={"Mesos-Stream-Id": "x", "Accept": "text/plain"})]),
    Row("1.2", "an unknown framework id is 400", [Ask("scheduler", {"type": "REVIVE", "framework_id": {"value": "nobody"}}, 400)]),
    Row("1.2", "an unknown framework is found before a missing stream id", [
        Ask("scheduler", {"type": "REVIVE", "framework_id": {"value": "nobody"}}, 400, headers={"Mesos-Stream-Id": None},
            text="(?i)framework")]),
    Row("1.2", "a call without stream id is 400", [
        Ask("scheduler", {"type": "REVIVE"}, 400, headers={"Mesos-Stream-Id": None}, text="Mesos-Stream-Id")]),
    Row("1.2", "a call with another stream id is 400", [
        Ask("scheduler", {"type": "REVIVE"}, 400, headers={"Mesos-Stream-Id": "00000000-0000-0000-0000-000000000000"})]),
    Row("1.2", "a call with a nonsensical stream id is 400", [
        Ask("scheduler", {"type": "REVIVE"}, 400, headers={"Mesos-Stream-Id": "x" * 300})]),
    Row("0.2", "header names are matched whatever their case", [
        Ask("scheduler", {"type": "REVIVE"}, 202, headers={"Mesos-Stream-Id": None, "mEsOs-StReAm-iD": "$stream"})]),
    Row("1.2", "type UNKNOWN is 501", [Ask("scheduler", {"type": "UNKNOWN"}, 501)]),
    Row("0.3", "an unrecognised type is 400", [Http("POST", "/api/v1/scheduler", 400, headers=JSON,
                                                    send='{"type":"NO_SUCH_CALL"}')], encodings=("json",)),
    Row("1.2", "a call to a framework that ended is 400", [
        Ask("scheduler", {"type": "TEARDOWN"}, 202), Ask("scheduler", {"type": "REVIVE"}, 400)]),
]


@pytest.mark.parametrize("row, encoding", cases(ROWS))
def test_call(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
