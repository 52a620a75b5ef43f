"""The access log: the combined format, and no client that writes lines of its own."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.accesslog import RECORDS_MAX, AccessLog, Record, format_record

COMBINED = re.compile(
    rb'\S+ - - \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "[^"]+" \d{3} (?:\d+|-)'
    rb' "[^"]+" "[^"]+"\n'
)


def record(line: bytes = b"GET / HTTP/1.1", referer: bytes = b"", agent: bytes = b"") -> Record:
    return Record(0.0, "127.0.0.1", line, 200, 12, referer, agent)


def test_a_line() -> None:
    line = format_record(record(agent=b"curl/8"))
    assert COMBINED.fullmatch(line)
    assert line.endswith(b'] "GET / HTTP/1.1" 200 12 "-" "curl/8"\n')


@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30))
def test_whatever_a_client_says_it_is_one_line_of_printable_text(
    line: bytes, referer: bytes, agent: bytes
) -> None:
    text = format_record(record(line, referer, agent))
    assert COMBINED.fullmatch(text)
    assert all(0x20 <= byte < 0x7F for byte in text[:-1])


def test_a_log_nobody_reads_loses_lines_and_says_so() -> None:
    log = AccessLog()
    assert log.add(record()) is True  # somebody is to be woken
    assert not any(log.add(record()) for _ in range(RECORDS_MAX + 4))
    lines = log.take().splitlines()
    assert len(lines) == RECORDS_MAX + 1
    assert lines[-1].startswith(b"# 5 lines lost")
    assert log.take() == b""
    assert log.add(record()) is True
