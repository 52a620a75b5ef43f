"""Every entry of the table has what the laws need; an entry without it fails with what to add."""

from __future__ import annotations

import pytest

from ops.lab import Lab
from ops.specimens import SPECIMENS, entries, specimen
from ringmill.ops.entry import ENTRIES


@pytest.mark.parametrize("name", entries())
def test_an_entry_has_a_specimen(lab: Lab, name: str) -> None:
    found = specimen(name)
    required = {a.name for a in ENTRIES[name].arguments if a.required}
    scenes = {"works": found.works, "blocks": found.blocks, "fails": found.fails}
    for part, make in scenes.items():
        if isinstance(make, str):
            assert " " in make, f"{name}.{part}: say in a sentence why it cannot be"
            continue
        given = set(make(lab.fresh()).arguments)
        assert required <= given, f"{name}.{part} lacks {', '.join(sorted(required - given))}"


@pytest.mark.parametrize("name", entries())
def test_what_waits_can_be_let_go(lab: Lab, name: str) -> None:
    found = specimen(name)
    if not isinstance(found.blocks, str):
        assert found.blocks(lab).unblock is not None, f"{name}.blocks needs an unblock"


def test_a_missing_specimen_is_told_in_a_sentence() -> None:
    with pytest.raises(AssertionError, match="has an entry 'frobnicate' and tests/ops/specimens.py"
                                             " no Specimen for it: add one that tells how"):
        specimen("frobnicate")


def test_no_specimen_is_left_over() -> None:
    assert set(SPECIMENS) <= set(ENTRIES), "specimens.py speaks of ops that the table has not"
