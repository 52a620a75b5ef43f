"""The tidy rules refuse what they should: each is shown a bad sample and a good one."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from support import tidy_rules as rules
from support.tidy_sources import Source, functions, generated, imports, meson_lists, sources


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath(path), text)


def core(text: str, name: str = "op.pyx") -> Source:
    return source(f"src/ringmill/core/{name}", text)


OP = core("", "op.pyx")
FIBER = source("src/ringmill/face/fiber.pyx", "")
ROOT_INIT = source("src/ringmill/__init__.py", "")


@pytest.mark.parametrize("line", [
    "from ringmill.face.fiber cimport Fiber",
    "from ringmill.face.fiber import Fiber",
    "from ringmill.face cimport fiber",
    "from ..face.fiber cimport Fiber",
    "cimport ringmill.face.fiber",
    "import ringmill.face.fiber as f",
    "from ringmill.face.fiber cimport (\n    Fiber,\n    spawn)",
    "import ringmill",
    "from ringmill import spawn",
    "    from ringmill.face.fiber import Fiber  # late, but an import",
])
@pytest.mark.parametrize("name", ["machine.pyx", "machine.py"])
def test_upward_import_is_refused(line, name):
    text = line.replace("cimport", "import") if name.endswith("py") else line
    if text.startswith("    ") and name.endswith("py"):
        text = "def f():\n" + text
    machine = core(text, name)
    wrong = rules.floors([machine, FIBER, ROOT_INIT])
    assert len(wrong) >= 1
    assert "src/ringmill/core/machine" in wrong[0]
    assert "stands above it" in wrong[0]


@pytest.mark.parametrize("line", [
    "from ringmill.core.op cimport Op",
    "from ringmill.core cimport op",
    "from .op cimport Op",
    "from . cimport op",
    "import os, sys",
    "from libc.stdint cimport uint64_t",
    "# from ringmill.face.fiber cimport Fiber",
])
def test_import_beside_and_below_is_allowed(line):
    machine = core(line, "machine.pyx")
    assert rules.floors([machine, OP, FIBER, ROOT_INIT]) == []
    absolute = line.replace("from . ", "from .core ").replace("from .", "from ringmill.core.")
    absolute = absolute.replace("core.core", "core")
    above = source("src/ringmill/face/task.pyx", absolute)
    assert rules.floors([above, OP, FIBER, ROOT_INIT]) == []


def test_headers_belong_to_the_ring():
    found = imports(core('cdef extern from "ring.h" nogil:\n    pass\n'))
    assert [name for _, name in found] == ["ringmill.ring.ring"]
    found = imports(source("src/ringmill/ring/linux.c", '#include <errno.h>\n#include "ring.h"\n'))
    assert found == [(2, "ringmill.ring.ring")]


def test_a_room_without_a_floor_is_refused():
    wrong = rules.floors([source("src/ringmill/attic/box.py", "")])
    assert len(wrong) == 1
    assert "stands on no floor" in wrong[0]


def test_circles_are_found():
    a = source("src/ringmill/stream/a.py", "from ringmill.sync.b import B")
    b = source("src/ringmill/sync/b.py", "from ringmill.stream.a import A")
    assert "stream -> sync -> stream" in rules.circles([a, b], by_room=True)[0]
    c = core("from .op cimport Op", "machine.pyx")
    d = core("from .machine cimport Machine", "op.pyx")
    assert rules.circles([c, d], by_room=True) == []
    assert "core.machine -> core.op -> core.machine" in rules.circles([c, d], by_room=False)[0] \
        .replace("ringmill.", "")
    assert rules.circles([c, OP], by_room=False) == []


def test_headers_that_include_each_other_are_a_circle():
    def ring(name: str, text: str) -> Source:
        return source(f"src/ringmill/ring/{name}", text)

    # ring.c may include what includes ring.h; the header may not.
    linux = ring("linux.h", '#include "ring.h"\n')
    use = '#include "ring.h"\n#include "linux.h"\n'
    assert rules.circles([ring("ring.c", use), ring("ring.h", ""), linux], by_room=False) == []
    assert rules.circles([ring("ring.c", ""), ring("ring.h", use), linux], by_room=False)


def test_circle_behind_a_finished_branch_is_found():
    graph = {"a": {"b", "c"}, "b": set(), "c": {"d"}, "d": {"b", "c"}}
    assert rules.find_circle(graph) == ["c", "d", "c"]
    assert rules.find_circle({"a": {"b", "c"}, "b": {"c"}}) == []


LONG_PYTHON = "def long():\n" + "    x = 1\n" * rules.FUNCTION_LINES_MAX
LONG_CYTHON = "cdef inline int long(self, int a,\n        int b) noexcept nogil:\n" + (
    "    x = 1\n\n" * (rules.FUNCTION_LINES_MAX // 2))
LONG_C = "static int long_one(int a,\n                    int b)\n{\n" + (
    "    x();\n" * rules.FUNCTION_LINES_MAX) + "}\n"


@pytest.mark.parametrize(("name", "text", "word"), [
    ("a.py", LONG_PYTHON, "long has 71 lines"),
    ("a.pyx", LONG_CYTHON, "long has 71 lines"),
    ("a.c", LONG_C, "long_one has 74 lines"),
    ("a.py", "# x\n" * (rules.FILE_LINES_MAX + 1), "501 lines"),
    ("a.c", "/* " + "x" * rules.COLUMNS_MAX + " */\n", "columns"),
])
def test_sizes_are_refused(name, text, word):
    wrong = rules.sizes(source(f"src/ringmill/core/{name}", text))
    assert len(wrong) == 1
    assert word in wrong[0]


def test_sizes_are_allowed():
    body = "    x = 1\n" * (rules.FUNCTION_LINES_MAX - 1)
    assert rules.sizes(core("def fits():\n" + body + "\n\ndef next():\n    pass\n", "a.py")) == []
    assert rules.sizes(core("cpdef fits():\n" + body + "\n\ncdef class C:\n" + body)) == []


def test_functions_are_found_in_cython():
    text = (
        "cdef class Op:\n"
        "    cdef int state\n"
        "    cdef void end(self, object value): # why\n"
        "        self.x = f(1)\n"
        "\n"
        "    async def later(\n"
        "        self,\n"
        "    ):\n"
        "        pass\n"
        "cdef extern from 'x.h':\n"
        "    int declared(int a)\n"
        "cdef int counter = make(3)\n"
        "cdef list names(\n"
        "    self\n"
        "):\n"
        "    return []\n"
    )
    assert functions(core(text)) == [("end", 3, 2), ("later", 6, 4), ("names", 13, 4)]


def test_functions_are_found_in_c():
    text = (
        "#include <x.h>\n"
        "struct a {\n    int b;\n};\n"
        "/* Why. */\n"
        "static int first(void)\n{\n    if (x) {\n        y();\n    }\n}\n"
        "int second(int a,\n           int b) {\n    f();\nout:\n    if (a) {\n    }\n}\n"
        "struct pair table[] = {\n    {f(1), 2},\n};\n"
        "static inline int third(void) { return 3; }\n"
        "int declared(int a,\n             int b);\n"
        "void *fourth(void) {\n    return 0;\n}\n"
    )
    found = functions(source("src/ringmill/ring/a.c", text))
    assert found == [("first", 6, 6), ("second", 12, 7), ("third", 22, 1), ("fourth", 25, 3)]


@pytest.mark.parametrize(("name", "text"), [
    ("a.py", "import os\n"),
    ("a.py", '"""x"""\n'),
    ("a.py", "# A comment is not a docstring.\n"),
    ("a.pyx", "cdef int x\n"),
    ("a.pyx", "# cython: language_level=3, boundscheck=False\ncdef int x\n"),
    ("a.c", "#include <x.h>\n/* Too late to say what this is for. */\n"),
    ("a.h", "#pragma once\n"),
])
def test_a_file_without_a_purpose_is_refused(name, text):
    assert rules.opening(core(text, name))


@pytest.mark.parametrize(("name", "text"), [
    ("a.py", '"""What this is for."""\n'),
    ("a.pyx", '"""What this is for."""\n'),
    ("a.pxd", "# What this is for.\n"),
    ("a.pyx", "# cython: boundscheck=True\n# What this is for.\n"),
    ("a.c", "/* What this is for. */\n"),
    ("a.h", "// What this\n// is for.\n"),
])
def test_a_file_with_a_purpose_is_allowed(name, text):
    assert rules.opening(core(text, name)) == []


@pytest.mark.parametrize("line", [
    "x = 1  # TO" "DO: later",
    "/* FIX" "ME */",
    "see /ro" "ot/notes.txt",
    "cd /wo" "rk/main",
    "PATH is /ho" "me/somebody/bin",
    "pip install --ind" "ex-url x",
])
def test_unfinished_and_machine_words_are_refused(line):
    assert rules.words(PurePosixPath("README.md"), line)


@pytest.mark.parametrize("line", [
    "the /work: route is fine", "https://example.org/home/page", "`.venv/bin/python`", "etodo",
])
def test_plain_words_are_allowed(line):
    assert rules.words(PurePosixPath("README.md"), line) == []


@pytest.mark.parametrize(("path", "text"), [
    ("src/ringmill/core/op.pyx", "    print('here')"),
    ("src/ringmill/face/fiber.pyx", "import logging"),
    ("src/ringmill/ops/start.py", "    logging.info('x')"),
    ("src/ringmill/ring/linux.c", '    fprintf(stderr, "x");'),
    ("src/ringmill/ring/linux.c", '    perror("enter");'),
])
def test_noise_is_refused(path, text):
    assert rules.quiet(source(path, text))


@pytest.mark.parametrize(("path", "text"), [
    ("src/ringmill/cli/main.py", "    print('here')"),
    ("src/ringmill/core/op.pyx", "    # print(it) would be noise"),
    ("src/ringmill/core/op.pyx", "    self.blueprint(3)"),
    ("src/ringmill/ring/linux.c", '    snprintf(text, size, "x");'),
    ("src/ringmill/ops/generate.py", "    print('fresh')"),
])
def test_quiet_lines_are_allowed(path, text):
    assert rules.quiet(source(path, text)) == []


def test_two_hot_paths_are_refused():
    mark = "# ── hot path ──\n"
    assert rules.announced_once(core(mark)) == []
    assert rules.announced_once(core(mark * 2))


MESON = """
ring_sources = files(
  'ring/linux.c',  # 'ring/commented.c'
)
extensions = {
  'op': ['core', [ring_dep]],
}
python_files = {
  '.': ['__init__.py', 'py.typed'],
  'core': ['__init__.py', 'op.pxd',
           'op.pyi'],
}
"""
PRESENT = ["meson.build", "__init__.py", "py.typed", "ring/linux.c", "ring/ring.h",
           "core/__init__.py", "core/op.pyx", "core/op.pxd", "core/op.pyi"]


def listed(extra: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> list[str]:
    names = [name for name in PRESENT if name not in gone] + list(extra)
    return rules.listed(meson_lists(MESON), [PurePosixPath(name) for name in names])


def test_meson_lists_are_compared_both_ways():
    assert listed() == []
    for name in ("ring/soft.c", "core/machine.pyx", "core/machine.pxd", "cli/main.py"):
        assert name in listed(extra=(name,))[0]
    for name in ("ring/linux.c", "core/op.pyx", "core/op.pyi", "py.typed"):
        assert "does not exist" in listed(gone=(name,))[0]


def test_a_meson_file_without_tables_is_refused():
    with pytest.raises(ValueError, match="python_files"):
        meson_lists("ring_sources = files()")


def test_the_rules_see_this_repository():
    paths = {str(each.path) for each in sources()}
    assert "tests/test_tidy_rules.py" in paths
    assert "tests/test_tidy_rules.py" not in {str(path) for path in generated()}
