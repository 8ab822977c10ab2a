#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the probe program with python's zoneinfo: offsets, local times around every change of the clocks, and cron moments that
are found minute by minute, over ten years up to 2036 and ten behind the tables of the zone files. Exit 77: skipped, with the reason."""
import subprocess
import sys
from datetime import datetime, timedelta, timezone

try:
    import zoneinfo
    zoneinfo.ZoneInfo("Europe/Rome")
except Exception as reason:  # no module before 3.9, no data without tzdata
    print(f"SKIP: python's zoneinfo cannot be used: {reason!r}")
    sys.exit(77)

ZONES = ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "UTC", "Europe/Dublin", "America/St_Johns", "Pacific/Chatham"]
SPANS = [(2026, 2036), (2040, 2050)]
EPOCH = datetime(1970, 1, 1)
EXPRESSIONS = [
    "*/15 * * * *", "30 * * * *", "* * * * *", "30 2 * * *", "0 0 * * *", "*/10 1-3 * * *", "15 2 * * 0", "45 1,2,3 * * *",
    "0 */2 * * *", "59 23 * * *", "0 3 L * *", "0 2 * 3,4,10,11 7",
]


def seconds(naive):
    return int((naive - EPOCH).total_seconds())


def offset(zone, utc_s):
    at = datetime.fromtimestamp(utc_s, timezone.utc).astimezone(zone)
    return int(at.utcoffset().total_seconds())


def changes(zone, first, last):
    """All instants at which the offset changes; looked for in steps of six hours and then halved."""
    found, step = [], 6 * 3600
    at, end = seconds(datetime(first, 1, 1)), seconds(datetime(last, 1, 1))
    while at < end:
        if offset(zone, at) != offset(zone, at + step):
            low, high = at, at + step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
            found.append(high)
        at += step
    return found


def local_answer(zone, local_s):
    """What the probe should say, by looking at all offsets of the days around."""
    offsets = {offset(zone, local_s + hours * 3600) for hours in range(-30, 31, 1)}
    instants = sorted(local_s - o for o in offsets if offset(zone, local_s - o) == o)
    if len(instants) == 1:
        return f"0 {instants[0]} {instants[0]}"
    if len(instants) == 2:
        return f"2 {instants[0]} {instants[1]}"
    low, high = local_s - max(offsets), local_s - min(offsets)
    while high - low > 1:  # the clock is before local_s at low and behind it at high
        middle = (low + high) // 2
        low, high = (low, middle) if middle + offset(zone, middle) > local_s else (middle, high)
    return f"1 {high} {high}"


def parse_field(text, minimum, maximum):
    values = set()
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, _, last = body.partition("-")
        if body == "*":
            low, high = minimum, maximum
        else:
            low = int(first)
            high = int(last) if last else (maximum if step else low)
        values.update(range(low, high + 1, int(step or 1)))
    return values


def fits(fields, naive):
    minute, hour, day, month, weekday = fields
    if naive.minute not in minute or naive.hour not in hour or naive.month not in month:
        return False
    if naive.isoweekday() % 7 not in weekday:
        return False
    return naive.day in day if day != "L" else (naive + timedelta(days=1)).month != naive.month


def cron_answer(zone, after_s, until_s, expression):
    words = expression.split()
    ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
    fields = ["L" if w == "L" else parse_field(w, *r) for w, r in zip(words, ranges)]
    fields[4] = {d % 7 for d in fields[4]}
    every_hour = fields[1] == set(range(24))
    moments, seen = [], None
    at = after_s - after_s % 60 - 30 * 3600
    while at <= until_s:
        local = at + offset(zone, at)
        if seen is None:
            seen = local - 60
        if every_hour:
            due = fits(fields, EPOCH + timedelta(seconds=local))
        else:
            due = any(fits(fields, EPOCH + timedelta(seconds=s)) for s in range(seen + 60, local + 1, 60))
        seen = max(seen, local)
        if due and at > after_s:
            moments.append(at)
        at += 60
    return " ".join(map(str, moments))


def add_months(day, months):
    """The day of the month as asked for, or the last one there is."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    last = (datetime(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return day.replace(year=year, month=month, day=min(day.day, last))


def interval_answer(zone, start, until, months, days, hours):
    """Moments of R/<start>/<period>, each counted from the start: a clock time that does not exist is the first instant after
    the gap, one that exists twice is the first."""
    moments, k = [], 0
    while True:
        local = add_months(start, k * months) + timedelta(days=k * days)
        if local > until:
            return " ".join(map(str, moments))
        moments.append(int(local_answer(zone, seconds(local)).split()[1]) + k * hours * 3600)
        k += 1


# (period, months, days, hours), start: clock times that the changes of some zone skip or repeat, and ends of months
INTERVALS = [("P1D", 0, 1, 0, "2026-01-01T02:30:00"), ("P1W", 0, 7, 0, "2026-01-04T02:15:00"), ("P1M", 1, 0, 0, "2026-01-31T02:30:00"),
             ("P1M", 1, 0, 0, "2026-03-29T01:45:00"), ("P3M", 3, 0, 0, "2026-05-31T00:00:00"), ("P1Y", 12, 0, 0, "2028-02-29T12:00:00"),
             ("P1M1D", 1, 1, 0, "2026-01-30T02:00:00")]
ASKED_INTERVALS = ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "UTC"]


def interval_questions():
    for name in ASKED_INTERVALS:
        zone = zoneinfo.ZoneInfo(name)
        for period, months, days, hours, start in INTERVALS:
            until = datetime(2036, 1, 1)
            want = interval_answer(zone, datetime.fromisoformat(start), until, months, days, hours)
            last = int(want.split()[-1])
            yield f"interval {name} {last} R/{start}Z/{period}", want
        # Hours are hours, whatever the clock does.
        first = int(local_answer(zone, seconds(datetime(2026, 1, 1, 2, 30))).split()[1])
        yield (f"interval {name} {first + 3650 * 86400} R/2026-01-01T02:30:00Z/PT24H",
               " ".join(str(first + k * 86400) for k in range(3651)))


def questions():
    yield from interval_questions()
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        for first, last in SPANS:
            for at in range(seconds(datetime(first, 1, 1)), seconds(datetime(last, 1, 1)), 86400 * 3 + 4321):
                yield f"offset {name} {at}", str(offset(zone, at))
                yield f"local {name} {at}", local_answer(zone, at)
            for n, change in enumerate(changes(zone, first, last)):
                for at in (change - 1, change, change + 1):
                    yield f"offset {name} {at}", str(offset(zone, at))
                for local in range(change + offset(zone, change) - 9000, change + offset(zone, change) + 9001, 900):
                    yield f"local {name} {local}", local_answer(zone, local)
                expression = EXPRESSIONS[n % len(EXPRESSIONS)]
                yield (f"cron {name} {change - 40000} {change + 50000} {expression}",
                       cron_answer(zone, change - 40000, change + 50000, expression))
            if name == "UTC":
                for expression in EXPRESSIONS:
                    yield f"cron UTC 1800000000 1800100000 {expression}", cron_answer(zone, 1800000000, 1800100000, expression)


def main():
    asked = list(questions())
    done = subprocess.run([sys.argv[1]], input="".join(q + "\n" for q, _ in asked), capture_output=True, text=True, timeout=100)
    answers = done.stdout.splitlines()
    if done.returncode != 0 or len(answers) != len(asked):
        print(f"the probe ended with {done.returncode} after {len(answers)} of {len(asked)} answers: {done.stderr}")
        return 1
    wrong = [(q, want, got.strip()) for (q, want), got in zip(asked, answers) if got.strip() != want]
    for question, want, got in wrong[:20]:
        print(f"{question}\n  python {want}\n  ours   {got}")
    print(f"{len(asked)} questions, {len(wrong)} answers differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
