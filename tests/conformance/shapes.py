# SPDX-License-Identifier: Apache-2.0
"""Which keys a JSON answer has and of what kind they are: `frameworks[].tasks[].state string`. shapes.tsv holds those of a real
Mesos with the same tasks; compare() tells what an answer lacks and what it has beyond."""
import pathlib

HERE = pathlib.Path(__file__).parent
# Objects whose keys are data: all are one key here.
DATA = ("flags", "attributes", "reserved_resources", "reserved_resources_full", "reserved_resources_allocated", "metrics",
        "offer_constraints", "limits", "variables")


def kind(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", dict: "object", list: "array", type(None): "null"}[type(value)]


def paths(value, at=""):
    """(path, kind) of all keys; what is only found in an empty list cannot be known."""
    if isinstance(value, dict):
        name = at.rsplit(".", 1)[-1]
        for key, inner in value.items():
            path = f"{at}.{'*' if name in DATA else key}".lstrip(".")
            yield path, kind(inner)
            yield from paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, at + "[]")


def shape(value):
    return set(paths(value))


def recorded():
    """{answer: shape} of the real Mesos."""
    out = {}
    for line in (HERE / "shapes.tsv").read_text().splitlines()[1:]:
        answer, path, what = line.split("\t")
        out.setdefault(answer, set()).add((path, what))
    return out


def compare(wanted, got):
    """Missing and extra keys; of a missing object only itself, not what is in it."""
    missing, extra = wanted - got, got - wanted
    def outermost(found, other):
        there = {p for p, _ in found}
        return sorted(f"{p} {k}" for p, k in found if not any(p.startswith((o + ".", o + "[]")) for o in there if o != p))
    return outermost(missing, got), outermost(extra, wanted)
