"""`ringmill doctor`: complete as JSON, readable as text."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import ringmill
from ringmill.cli.doctor import STATES, doctor, span


def run(*arguments: str) -> str:
    result = CliRunner().invoke(doctor, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_json_says_everything() -> None:
    report = json.loads(run("--json"))
    assert report["kernel"] in ("linux", "soft") and report["why"]
    assert set(report["versions"]) == {"ringmill", "greenlet", "python", "Linux", "machine"}
    assert set(report["limits"]) == {"memlock", "open_files"}
    for kind in ("features", "opcodes"):
        assert report[kind] and set(report[kind].values()) <= set(STATES)
    probe = ringmill.probe()
    for kind in ("features", "opcodes"):
        assert report[kind].keys() == probe[kind].keys()
        missing = [name for name, state in report[kind].items() if state == "missing"]
        assert missing == [name for name, state in probe[kind].items() if state == "missing"]


def test_text_names_every_opcode_and_feature() -> None:
    text = run()
    report = json.loads(run("--json"))
    for name in (*report["features"], *report["opcodes"]):
        assert name in text
    assert report["why"].split()[0] in text


def test_a_kernel_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGMILL_KERNEL", "soft")
    report = json.loads(run("--json"))
    assert report["kernel"] == "soft"
    assert "present" not in report["opcodes"].values(), "the soft kernel emulates"
    assert "emulated" in report["opcodes"].values()


@pytest.mark.parametrize("name", ["RINGMILL_KERNEL", "RINGMILL_DISABLE"])
def test_a_wrong_environment_is_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "bogus")
    for arguments in ([], ["--json"]):
        result = CliRunner().invoke(doctor, arguments)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert result.output.startswith("Error: ") and "bogus" in result.output


def test_a_forbidden_kernel_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(1, "io_uring_setup")

    monkeypatch.setattr(ringmill, "probe", refuse)
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ") and "io_uring_setup" in result.output


def test_nothing_is_lost_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = run()
    assert "…" not in text
    assert all(name in text for name in ("locked", "memory", "Linux"))


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(5, 5, "5"), (5, 1000, "5 (up to 1,000)"), (5, None, "5 (up to unlimited)"),
     (None, None, "unlimited")],
)  # fmt: skip
def test_limits(soft: int | None, hard: int | None, expected: str) -> None:
    assert span({"soft": soft, "hard": hard}, "{:,}".format) == expected
