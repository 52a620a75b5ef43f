"""The access log in the combined format: a record is cheap to leave, lines are made later.

Knows records and text. Who writes the lines, and when, is `server`'s business.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from .dates import MONTHS

# Records that wait to be written. When a terminal or a pipe does not take them, the log loses
# lines (and says how many) rather than the server its memory.
RECORDS_MAX = 10_000

# Everything that could end a line, a quoted field, or drive a terminal.
UNSAFE = re.compile(rb'[^\x20-\x21\x23-\x5b\x5d-\x7e]')


@dataclass(frozen=True, slots=True)
class Record:
    """One reply, as the log will tell it."""

    when: float
    peer: str
    line: bytes  # the request line, or what there was of it
    status: int
    size: int  # body bytes sent
    referer: bytes
    agent: bytes


class AccessLog:
    """Collects records; hands them out as text."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.lost = 0

    def add(self, record: Record) -> bool:
        """True when this is the first one waiting, so that somebody should be woken."""
        if len(self.records) >= RECORDS_MAX:
            self.lost += 1
            return False
        self.records.append(record)
        return len(self.records) == 1

    def take(self) -> bytes:
        """Every waiting record as lines, and word of the lost ones."""
        records, self.records = self.records, []
        lines = [format_record(record) for record in records]
        if self.lost:
            lines.append(b"# %d lines lost: the log was not read fast enough\n" % self.lost)
            self.lost = 0
        return b"".join(lines)


def format_record(record: Record) -> bytes:
    return b'%b - - [%b] "%b" %d %b "%b" "%b"\n' % (
        safe(record.peer.encode()),
        local_time(record.when).encode(),
        safe(record.line) or b"-",
        record.status,
        b"%d" % record.size if record.size else b"-",
        safe(record.referer) or b"-",
        safe(record.agent) or b"-",
    )


def safe(value: bytes) -> bytes:
    """What a client sent, as something that cannot forge a line."""
    return UNSAFE.sub(lambda match: b"\\x%02x" % match[0][0], value)


def local_time(when: float) -> str:
    """`10/Oct/2000:13:55:36 -0700`, with English months whatever the locale."""
    t = time.localtime(when)
    return (
        f"{t.tm_mday:02}/{MONTHS[t.tm_mon - 1]}/{t.tm_year}"
        f":{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {time.strftime('%z', t)}"
    )
