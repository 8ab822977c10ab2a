# SPDX-License-Identifier: Apache-2.0
"""The example of docs/sdk.md, built and run as a reader would."""
import pathlib
import subprocess

import pytest

from conftest import MUSTER

EXAMPLE = str(pathlib.Path(MUSTER).parent / "frameworks/sdk/muster-example-framework")


@pytest.mark.parametrize("command, state, status", [("exit 0", "TASK_FINISHED", 0), ("exit 3", "TASK_FAILED", 1)])
def test_example_runs_one_command_to_its_end(cluster, command, state, status):
    done = subprocess.run([EXAMPLE, cluster.role("master")["address"], command], capture_output=True, text=True, timeout=60)
    assert done.returncode == status and state in done.stdout, done.stdout + done.stderr
