# SPDX-License-Identifier: Apache-2.0
"""Rows of requests and answers, and how an answer is compared with what a row wants.

What is wanted of a body: bytes: exactly these; a pattern: found in the text; anything else: compared as JSON, where a dict
is exactly that object, Some(...) an object with at least these members, a pattern a text in which it is found, a type a
value of that type, and ANY whatever there is."""
import json
import re

ANY = object()
ID = re.compile(r"^\d{14}[A-Za-z0-9]{5}$")  # of a run
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
JSON = {"Content-Type": re.compile("^application/json")}


class Some(dict):
    """An object of which other members are not looked at."""


class Without:
    """An object without these members."""

    def __init__(self, *names):
        self.names = names


class Row:
    def __init__(self, fact, method, path, status, want=ANY, body=None, raw=None, headers=None, sent=None):
        self.fact, self.method, self.path, self.status, self.want = fact, method, path, status, want
        self.body, self.raw, self.headers, self.sent = body, raw, headers or {}, sent

    def __str__(self):
        return f"{self.fact} {self.method} {self.path} {self.status}"


def differs(want, got, at="$"):
    """Where a value is not what is wanted; None: nowhere."""
    if want is ANY:
        return None
    if isinstance(want, type):
        return None if isinstance(got, want) else f"{at}: {got!r} is not a {want.__name__}"
    if isinstance(want, re.Pattern):
        return None if isinstance(got, str) and want.search(got) else f"{at}: {got!r} is not like {want.pattern}"
    if isinstance(want, Without):
        there = [n for n in want.names if not isinstance(got, dict) or n in got]
        return f"{at}: {there} in {got!r}" if there else None
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return f"{at}: {got!r} is not an object"
        if not isinstance(want, Some) and set(want) != set(got):
            return f"{at}: members {sorted(got)} are not {sorted(want)}"
        for key, value in want.items():
            if key not in got:
                return f"{at}.{key} is missing in {got!r}"
            found = differs(value, got[key], f"{at}.{key}")
            if found:
                return found
        return None
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"{at}: {got!r} is not a list of {len(want)}"
        return next(filter(None, (differs(w, g, f"{at}[{i}]") for i, (w, g) in enumerate(zip(want, got)))), None)
    return None if want == got and isinstance(want, bool) == isinstance(got, bool) else f"{at}: {got!r} is not {want!r}"


def filled(value, names):
    """The value with {name} replaced in every text; patterns and other things are left alone."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, dict):
        return type(value)((k, filled(v, names)) for k, v in value.items())
    return [filled(v, names) for v in value] if isinstance(value, list) else value


def check(cron, row, names=None):
    """Makes the request of a row and compares its answer; returns the answer."""
    names = names or {}
    more = {"headers": row.sent} if row.sent else {}
    if row.raw is not None:
        more["data"] = row.raw
        more.setdefault("headers", {"Content-Type": "application/json"})
    answer = cron(row.method, filled(row.path, names), filled(row.body, names), **more)
    where = f"{row}: {answer.status_code} {answer.text[:500]}"
    assert answer.status_code == row.status, where
    for name, want in row.headers.items():
        found = differs(want, answer.headers.get(name))
        assert found is None, f"{where}\nheader {name}: {found}"
    if isinstance(row.want, bytes):
        assert answer.content == row.want, where
    elif isinstance(row.want, re.Pattern):
        assert row.want.search(answer.text), where
    elif row.want is not ANY:
        try:
            got = answer.json()
        except json.JSONDecodeError as error:
            raise AssertionError(f"{where}\nno JSON: {error}") from error
        found = differs(filled(row.want, names), got)
        assert found is None, f"{where}\n{found}"
    return answer
