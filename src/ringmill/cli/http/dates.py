"""HTTP dates, written one way and read in the three ways of RFC 9110 section 5.6.7. Pure."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Callable

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH = "(?P<month>" + "|".join(MONTHS) + ")"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_LONG = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?:{'|'.join(DAYS)}), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:{_LONG}), (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:{'|'.join(DAYS)}) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)


def format_date(seconds: float) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`, whatever the locale."""
    t = time.gmtime(seconds)
    return (
        f"{DAYS[t.tm_wday]}, {t.tm_mday:02} {MONTHS[t.tm_mon - 1]} {t.tm_year:04}"
        f" {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def parse_date(value: bytes, now: float) -> int | None:
    """Seconds since 1970, or None for what is not a date. `now` resolves two-digit years."""
    text = value.decode("latin-1")
    match = next((m for form in FORMS if (m := form.fullmatch(text))), None)
    if match is None:
        return None
    year, day = int(match["year"]), int(match["day"])
    hour, minute, second = (int(match[part]) for part in ("hour", "minute", "second"))
    if len(match["year"]) == 2:
        # More than fifty years ahead means the past century (RFC 9110).
        this = time.gmtime(now).tm_year
        year += this - this % 100
        year -= 100 if year > this + 50 else 0
    # 60 is a leap second. A day the month does not have rolls over in timegm: refuse it by writing
    # the date back.
    if year < 1 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    month = MONTHS.index(match["month"]) + 1
    seconds = timegm((year, month, day, hour, minute, second))
    return seconds if time.gmtime(seconds - second).tm_mday == day else None


class Clock:
    """The Date field, formatted once per second however many replies carry it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._second = -1
        self._date = b""

    def date(self) -> bytes:
        second = int(self.now())
        if second != self._second:
            self._second, self._date = second, format_date(second).encode()
        return self._date
