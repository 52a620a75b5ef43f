"""What this system can do, as plain values: for `ringmill doctor` and for tests.

Knows machines and names; prints nothing.
"""

from __future__ import annotations

import os
from typing import Any

from ringmill.core import masks
from ringmill.core.driver import _here
from ringmill.core.kernel import soft_facts
from ringmill.core.machine import Machine

FEATURES = {
    0: "single_mmap", 1: "nodrop", 2: "submit_stable", 3: "rw_cur_pos", 4: "cur_personality",
    5: "fast_poll", 6: "poll_32bits", 7: "sqpoll_nonfixed", 8: "ext_arg", 9: "native_workers",
    10: "rsrc_tags", 11: "cqe_skip", 12: "linked_file", 13: "reg_reg_ring",
    14: "recvsend_bundle", 15: "min_timeout", 16: "rw_attr", 17: "no_iowait",
}


def probe() -> dict[str, Any]:
    """The kernel that was chosen and why, and of each opcode and feature: present, emulated (by
    the soft kernel) or missing. Uses the thread's machine, or one made for the question.
    """
    if (machine := _here()) is not None:
        return _describe(machine)
    machine = Machine()
    try:
        return _describe(machine)
    finally:
        machine.end()


def _describe(machine: Machine) -> dict[str, Any]:
    facts = machine.facts()
    if machine.kernel.name == "soft":  # all that it does is emulated
        facts = {"setup_flags": 0, "features": 0, "opcodes": 0, "behaviours": 0}
    soft = soft_facts()
    hidden = masks.from_environment()
    return {
        "kernel": machine.kernel.name,
        "why": machine.kernel.why,
        "release": os.uname().release,
        "setup_flags": {name: bool(facts["setup_flags"] >> bit & 1)
                        for name, bit in masks.SETUP_FLAGS.items()},
        "features": {
            **{name: _state(facts["behaviours"], soft["behaviours"], bit)
               for bit, name in enumerate(masks.BEHAVIOURS)},
            **{name: _state(facts["features"], 0, bit) for bit, name in FEATURES.items()},
        },
        "opcodes": {name: _state(facts["opcodes"], soft["opcodes"], number)
                    for number, name in enumerate(masks.OPCODES)},
        "masked": _names(hidden),
        "stats": machine.stats(),
    }


def _state(real: int, soft: int, bit: int) -> str:
    if real >> bit & 1:
        return "present"
    return "emulated" if soft >> bit & 1 else "missing"


def _names(hidden: masks.Masks) -> list[str]:
    """What RINGMILL_DISABLE hides, name by name."""
    names = [n for number, n in enumerate(masks.OPCODES) if hidden.ops >> number & 1]
    names += [n for bit, n in enumerate(masks.BEHAVIOURS) if hidden.behaviours >> bit & 1]
    names += [n for n, bit in masks.SETUP_FLAGS.items() if hidden.setup >> bit & 1]
    return sorted(set(names))
