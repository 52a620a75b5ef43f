"""The requirement report tells the truth: skipped, failed and missing tests prove nothing."""

from __future__ import annotations

import pytest

from support.req_report import load_rows, parse_rows

SAMPLE = """
    import pytest

    @pytest.mark.req("T1")
    def test_passes(): pass

    @pytest.mark.req("T2")
    def test_skips(): pytest.skip("no such kernel here")

    @pytest.mark.req("T3")
    def test_fails(): assert 1 == 2

    @pytest.mark.req("T3")
    def test_passes_beside(): pass

    @pytest.mark.req("T4")
    @pytest.mark.xfail(reason="not yet", strict=True)
    def test_expected_to_fail(): assert 1 == 2

    @pytest.fixture
    def leaky():
        yield
        raise AssertionError("left something behind")

    @pytest.mark.req("T5")
    def test_leaks(leaky): pass

    @pytest.mark.req("T6", "T7")
    @pytest.mark.parametrize("kernel", ["linux", "soft"])
    def test_half_skipped(kernel):
        if kernel == "linux":
            pytest.skip("io_uring refused")
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    pytester.makepyfile(SAMPLE)

    def run(*args: str) -> tuple[int, dict[str, str], str]:
        result = pytester.runpytest_inprocess("-p", "support.req_report", "--req-report", *args)
        text = result.stdout.str()
        verdicts = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) > 2 and words[0] in load_rows():
                verdicts[words[0]] = words[1]
        return int(result.ret), verdicts, text

    return run


def test_each_verdict(run):
    code, verdicts, text = run()
    assert code == 1
    assert verdicts["T1"] == "proven"
    assert verdicts["T2"] == "SKIPPED"
    assert verdicts["T3"] == "FAILED"
    assert verdicts["T4"] == "SKIPPED"
    assert verdicts["T5"] == "FAILED"
    assert verdicts["T6"] == verdicts["T7"] == "proven"
    assert verdicts["T8"] == "NO"  # "NO TEST"
    assert list(verdicts) == list(load_rows())
    assert "no such kernel here" in text
    assert "3 of 84 rows proven" in text


def test_demanded_rows_decide_the_exit_code(run):
    assert run("--req-rows", "T1,T6-T7", "-k", "passes or half")[0] == 0
    code, verdicts, text = run("--req-rows", "T1,T2", "-k", "passes or skips")
    assert code == 1
    assert list(verdicts) == ["T1", "T2"]
    assert "not proven: T2" in text


def test_a_test_left_out_proves_nothing(run):
    code, verdicts, _ = run("--req-rows", "T1", "-k", "half")
    assert (code, verdicts) == (1, {"T1": "NO"})


def test_a_mistyped_row_stops_the_run(pytester: pytest.Pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.req('T99')\ndef test_it(): pass\n")
    result = pytester.runpytest_inprocess("-p", "support.req_report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_rows_are_the_two_lists():
    wanted = [f"T{n}" for n in range(1, 36)] + [f"U{n}" for n in range(1, 50)]
    assert list(load_rows()) == wanted


def test_ranges():
    rows = load_rows()
    assert parse_rows("T1, U7-U9", rows) == ["T1", "U7", "U8", "U9"]
    assert parse_rows("", rows) == list(rows)
    for wrong in ("T", "T1-U3", "T0", "U50", "x"):
        with pytest.raises(pytest.UsageError):
            parse_rows(wrong, rows)
