# SPDX-License-Identifier: Apache-2.0
"""The sample configurations in config/: printed by the program, and accepted by the roles."""
import re

import pytest

from conftest import ROOT
from test_01_cli import muster

# What a role needs to get past its own checks; the wrong level is looked at last, after every line of the file.
ROLES = {"master": ("--registry=in_memory",), "agent": ("--master=127.0.0.1:1", "--work_dir=/nonexistent"),
         "marathon": ("--master=127.0.0.1:1",), "cron": ("--master=127.0.0.1:1",), "lb": ("--master=127.0.0.1:1",)}


def sample(role):
    return (ROOT / "config" / f"{role}.conf").read_text()


def run_with(role, text, tmp_path):
    path = tmp_path / "role.conf"
    path.write_text(text)
    done = muster(role, "--config", str(path), *ROLES[role], "--logging_level=nonsense")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_sample_is_what_the_program_prints(role):
    done = muster("config", role)
    assert done.returncode == 0 and done.stdout == sample(role), f"muster config {role} > config/{role}.conf"
    options = set(re.findall(r"^ *--(?:\[no-\])?(\w+)", muster(role, "--help").stdout, re.M)) - {"config", "help"}
    assert len(options) > 10 and options == set(re.findall(r"^# (\w+) =", sample(role), re.M))


@pytest.mark.parametrize("role", ROLES)
def test_role_accepts_its_sample(role, tmp_path):
    assert "logging_level" in run_with(role, sample(role), tmp_path)
    defaults = re.sub(r"^# (\w+ = )", r"\1", sample(role), flags=re.M)
    assert len(re.findall(r"^\w+ = ", defaults, re.M)) > 10
    assert "logging_level" in run_with(role, defaults, tmp_path)
    lines = defaults.count("\n")
    assert f"line {lines + 1}" in run_with(role, defaults + "nonsense = 1\n", tmp_path)


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("master", "agent")])
def test_config_names_its_roles(arguments):
    done = muster("config", *arguments)
    assert done.returncode == 2 and done.stdout == "" and "usage: muster config ROLE" in done.stderr
    assert "config" not in muster("--help").stdout
