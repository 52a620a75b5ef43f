"""RINGMILL_DISABLE and RINGMILL_KERNEL: names to bits, and what a real ring makes of the bits."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.core import masks
from ringmill.core.older_kernels import MISSING
from support import tools
from support.tidy_sources import ROOT

ring_tests = tools.load("ring_tests")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """tests/ring/masks.c, compiled: names and numbers as C has them, and rings with masks."""
    if "RINGMILL_SANITIZED" in os.environ:
        pytest.skip("compilers and their programs run without the preloaded sanitizer")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on PATH")
    folder = tmp_path_factory.mktemp("masks")
    ring = ring_tests.compile_ring(folder)
    source = ROOT / "tests" / "ring" / "masks.c"
    ring_tests.compile_program(source, folder / "masks", ring)
    return folder / "masks"


def ring_with(program, hidden):
    """(opcodes, behaviours, setup flags) of a real ring with these masks."""
    words = [f"{bits:x}" for bits in hidden]
    done = subprocess.run([program, *words], capture_output=True, text=True)
    if done.returncode == ring_tests.SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return masks.Masks(*(int(word, 16) for word in done.stdout.split()))


# ── names ──

def test_names_and_numbers_are_those_of_c(program):
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    tables = {"opcode": {}, "behaviour": {}, "setup": {}}
    for kind, number, name in map(str.split, told.splitlines()):
        tables[kind][name.lower()] = int(number)
    assert tables["opcode"] == {name: number for number, name in enumerate(masks.OPCODES)}
    assert tables["behaviour"] == {name: 1 << bit for bit, name in enumerate(masks.BEHAVIOURS)}
    assert tables["setup"] == {name: 1 << bit for name, bit in masks.SETUP_FLAGS.items()}


def test_each_name_hides_just_what_bears_it():
    for name in masks.MEANINGS:
        assert masks.parse(name) == masks.Masks(
            ops=1 << masks.OPCODES.index(name) if name in masks.OPCODES else 0,
            behaviours=1 << masks.BEHAVIOURS.index(name) if name in masks.BEHAVIOURS else 0,
            setup=1 << masks.SETUP_FLAGS[name] if name in masks.SETUP_FLAGS else 0,
        ), name
        assert any(masks.parse(name)), name


def test_a_name_may_stand_for_several_things():
    assert masks.parse("send_zc") == masks.Masks(ops=1 << 47, behaviours=1 << 10)
    assert masks.parse("defer_taskrun") == masks.Masks(behaviours=1 << 8, setup=1 << 13)


def test_nothing_hides_nothing():
    for text in ("", " ", ",", " , ,"):
        assert masks.parse(text) == masks.Masks()


def test_case_spaces_and_dashes_do_not_matter():
    assert masks.parse(" Recv , SEND-ZC,recv_MULTISHOT ,@6.12") == (
        masks.parse("recv") | masks.parse("send_zc") | masks.parse("recv_multishot")
        | masks.parse("@6.12"))


@given(st.lists(st.sampled_from([*sorted(masks.MEANINGS), *(f"@{v}" for v in MISSING)])))
def test_a_list_hides_what_its_words_hide(words):
    together = masks.Masks()
    for word in words:
        together |= masks.parse(word)
    assert masks.parse(",".join(words)) == together


@pytest.mark.parametrize("wrong, hint", [
    ("recvv", "recv"),
    ("multishot", "recv_multishot"),
    ("open", "openat"),
    ("poll", "poll_add"),
    ("IORING_SETUP_DEFER_TASKRUN", None),
    ("xyzzy", None),
    ("6.1", None),
])
def test_an_unknown_name_is_named_with_what_is_near(wrong, hint):
    with pytest.raises(ValueError, match="RINGMILL_DISABLE") as caught:
        masks.parse(f"recv,{wrong},send")
    assert repr(wrong.lower()) in str(caught.value)
    if hint is None:
        assert "did you mean" not in str(caught.value) or "defer_taskrun" in str(caught.value)
    else:
        assert hint in str(caught.value).partition("did you mean")[2]


@pytest.mark.parametrize("wrong", ["@", "@6.2", "@6.18", "@recv", "@v6.1"])
def test_an_unknown_version_is_told_the_known_ones(wrong):
    with pytest.raises(ValueError, match=r"@5\.10, @6\.1, @6\.12, @6\.16, @6\.17"):
        masks.parse(wrong)


def test_the_environment_is_read_and_may_be_silent():
    assert masks.from_environment({}) == masks.Masks()
    assert masks.from_environment({"RINGMILL_DISABLE": "nop"}) == masks.Masks(ops=1)


# ── older kernels ──

def test_every_missing_thing_has_a_name():
    for version, names in MISSING.items():
        assert names <= masks.MEANINGS.keys(), version


def test_what_is_missing_later_was_missing_before():
    versions = list(MISSING)
    assert versions == ["5.10", "6.1", "6.12", "6.16", "6.17"]
    for older, newer in zip(versions, versions[1:], strict=False):
        assert MISSING[older] >= MISSING[newer], (older, newer)


@pytest.mark.parametrize("version, lacks, has", [
    ("5.10", "socket send_zc buffer_rings accept_multishot defer_taskrun registered_ring",
     "recv accept poll_multishot openat2 async_cancel"),
    ("6.1", "waitid bind listen read_multishot bundle no_sqarray",
     "recv_multishot send_zc buffer_rings defer_taskrun socket cancel_fd"),
    ("6.12", "recv_zc pipe", "waitid bind bundle read_multishot no_sqarray"),
    ("6.16", "", "pipe cancel_fd recv_zc"),
    ("6.17", "", "pipe cancel_fd recv_zc"),
])
def test_well_known_differences(version, lacks, has):
    assert set(lacks.split()) <= MISSING[version]
    assert not set(has.split()) & MISSING[version]


# ── real rings ──

@pytest.mark.parametrize("version", MISSING)
def test_a_ring_can_pass_for_an_older_kernel(program, version):
    hidden = masks.parse(f"@{version}")
    plain, masked = ring_with(program, masks.Masks()), ring_with(program, hidden)
    assert masked.ops == plain.ops & ~hidden.ops
    assert masked.behaviours == plain.behaviours & ~hidden.behaviours
    assert not masked.setup & hidden.setup


def test_hiding_one_opcode_hides_what_is_made_of_it(program):
    plain = ring_with(program, masks.Masks())
    for opcode, behaviour in [("recv", "recv_multishot"), ("accept", "accept_multishot"),
                              ("poll_add", "poll_multishot"), ("async_cancel", "cancel_fd")]:
        masked = ring_with(program, masks.parse(opcode))
        assert masked.ops == plain.ops & ~masks.parse(opcode).ops
        assert not masked.behaviours & masks.parse(behaviour).behaviours


# ── which kernel ──

def test_without_a_wish_the_best_comes_first():
    choice = masks.choose(None, {})
    assert choice.order == ("linux", "soft")
    assert choice.why


def test_the_environment_decides_and_the_program_above_it():
    environ = {"RINGMILL_KERNEL": "soft"}
    assert masks.choose(None, environ).order == ("soft",)
    assert "RINGMILL_KERNEL=soft" in masks.choose(None, environ).why
    assert masks.choose("linux", environ).order == ("linux",)
    assert "linux" in masks.choose("linux", environ).why
    assert masks.choose(None, {"RINGMILL_KERNEL": " Linux "}).order == ("linux",)
    assert masks.choose(None, {"RINGMILL_KERNEL": ""}).order == ("linux", "soft")


@pytest.mark.parametrize("ask", [
    lambda: masks.choose("sofft", {}),
    lambda: masks.choose("", {}),
    lambda: masks.choose(None, {"RINGMILL_KERNEL": "sofft"}),
])
def test_an_unknown_kernel_is_told_the_known_ones(ask):
    with pytest.raises(ValueError, match="There are linux and soft"):
        ask()
