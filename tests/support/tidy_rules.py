"""The house rules that a machine can check, each as a function from sources to sentences.

An empty list means the rule holds. Knows the floors of ARCHITECTURE.md and the size limits; reads
no file itself, so tests/test_tidy_rules.py can show each rule a bad sample.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from support.tidy_sources import PACKAGE, Source, functions, imports, module_of

FILE_LINES_MAX = 500      # what one reads in a sitting
FUNCTION_LINES_MAX = 70   # what fits on a screen
COLUMNS_MAX = 100         # two files side by side

# Bottom to top. A folder imports from floors below its own and from its own floor, never upwards.
# "" is the package's own __init__, which gathers the public names.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("ring",),
    ("core",),
    ("ops",),
    ("face",),
    ("files", "processes", "stream", "sync", "loop", "actor", "tools", "timeout", "trace",
     "watching"),
    ("aio", "cluster"),
    ("storage",),
    ("",),
    ("cli", "testing", "__main__"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Where a program spends its time: nothing is printed or logged there.
HOT_ROOMS = ("ring", "core", "ops", "face", "files", "processes", "stream", "sync", "watching")
# A script one runs by hand, which lives beside what it generates from.
SCRIPTS = {"src/ringmill/ops/generate.py"}


def room_of(module: str) -> str:
    """ringmill.core.op -> core; ringmill.errors -> errors; ringmill itself -> the root, ''."""
    return ".".join(module.split(".")[1:2])


def edges(tree: Iterable[Source]) -> list[tuple[Source, int, str, str]]:
    """(source, line, module it is, module it imports), imports cut to modules that exist."""
    tree = list(tree)
    known = {module_of(source.path) for source in tree} | {PACKAGE}
    found = []
    for source in tree:
        # A C file is nobody's include, so it is a place of its own beside its header.
        here = module_of(source.path) + (".c" if source.path.suffix == ".c" else "")
        for line, target in imports(source):
            # `from ringmill.core import op` names a module, `from ringmill.core.op import Op` a
            # thing inside one. A name of the package itself ends at the package.
            while target not in known and target.count(".") > 1:
                target = target.rpartition(".")[0]
            if target not in known and room_of(target) not in FLOOR_OF:
                target = PACKAGE
            if target != here:
                found.append((source, line, here, target))
    return found


def floors(tree: Iterable[Source]) -> list[str]:
    """Nothing imports upwards, and every room stands on a floor."""
    tree = list(tree)
    wrong = []
    for source in tree:
        room = room_of(module_of(source.path))
        if room not in FLOOR_OF:
            wrong.append(f"{source.path} stands on no floor: name {room!r} in FLOORS.")
    for source, line, here, target in edges(tree):
        mine, theirs = FLOOR_OF.get(room_of(here)), FLOOR_OF.get(room_of(target))
        if mine is not None and theirs is not None and theirs > mine:
            wrong.append(
                f"{source.path}:{line} imports {target}, which stands above it: "
                f"floor {mine} may not know floor {theirs}.")
    return wrong


def circles(tree: Iterable[Source], by_room: bool) -> list[str]:
    """No room, and no file within a room, imports itself through others."""
    graph: dict[str, set[str]] = {}
    for _source, _line, here, target in edges(tree):
        if by_room:
            here, target = room_of(here), room_of(target)
        if here != target:
            graph.setdefault(here, set()).add(target)
    circle = find_circle(graph)
    names = " -> ".join(name or PACKAGE for name in circle)
    return [f"These import each other in a circle: {names}."] if circle else []


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The first circle found, with its first member repeated at the end; [] when there is none."""
    finished: set[str] = set()
    for begin in sorted(graph):
        path: list[str] = []
        rest = [iter([begin])]
        while rest:
            name = next(rest[-1], None)
            if name is None:
                rest.pop()
                if path:
                    finished.add(path.pop())
            elif name in path:
                return [*path[path.index(name):], name]
            elif name not in finished:
                path.append(name)
                rest.append(iter(sorted(graph.get(name, ()))))
    return []


def sizes(source: Source) -> list[str]:
    """Files, functions and lines no longer than one can read."""
    lines = source.lines
    wrong = []
    if len(lines) > FILE_LINES_MAX:
        wrong.append(f"{source.path} has {len(lines)} lines, more than {FILE_LINES_MAX}: split it.")
    wrong += columns(source)
    wrong += [f"{source.path}:{first} {name} has {count} lines, more than {FUNCTION_LINES_MAX}."
              for name, first, count in functions(source) if count > FUNCTION_LINES_MAX]
    return wrong


def columns(source: Source) -> list[str]:
    """No line wider than half a screen."""
    return [f"{source.path}:{number} has {len(line)} columns, more than {COLUMNS_MAX}."
            for number, line in enumerate(source.lines, 1) if len(line) > COLUMNS_MAX]


def opening(source: Source) -> list[str]:
    """A file begins by saying what it is for."""
    text = source.text.lstrip()
    if not text and source.path.name == "__init__.pxd":
        return []  # Cython's mark of a package; it is for nothing else
    if source.path.suffix in {".c", ".h"}:
        said = re.match(r"/\*+\s*(.*?)\*/|((?://[^\n]*\n?)+)", text, re.DOTALL)
        words = (said[1] or said[2] or "") if said else ""
    elif source.path.suffix == ".py":
        words = ast.get_docstring(ast.parse(source.text)) or ""
    else:
        # Directives for the compiler may come first.
        text = re.sub(r"\A(#\s*(cython|distutils):[^\n]*\n\s*)+", "", text)
        said = re.match(r'r?"""(.*?)"""|((?:#[^\n]*\n?)+)', text, re.DOTALL)
        words = (said[1] or said[2] or "") if said else ""
    if len(re.findall(r"[A-Za-z]{2,}", words)) >= 3:
        return []
    return [f"{source.path} does not begin by saying what it is for."]


# Put together, so that this file does not contain what it forbids.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.*>\"'])/(ro" r"ot|wo" r"rk|ho" r"me/\w+|tm" r"p/rm)/[\w.]")
REGISTRY = re.compile(r"(--ind" r"ex-url|--extra-ind" r"ex-url|--find-l" r"inks)")


def words(path: PurePosixPath, text: str) -> list[str]:
    """Nothing unfinished, and nothing of the machine a file was written on."""
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        for rule, sentence in ((UNFINISHED, "is unfinished"),
                               (MACHINE_PATH, "names a path of somebody's machine"),
                               (REGISTRY, "names a package registry")):
            if match := rule.search(line):
                wrong.append(f"{path}:{number} {sentence}: {match[0]!r}.")
    return wrong


LOUD = re.compile(
    r"(?<![\w.\"'])(print|logging\.\w+|(?:f|d|v|vf)?printf|perror|f?puts)\s*\(|"
    r"^\s*(?:import|from)\s+logging\b")


def quiet(source: Source) -> list[str]:
    """Where programs spend their time, nothing is printed or logged."""
    room = room_of(module_of(source.path))
    if room not in HOT_ROOMS or str(source.path) in SCRIPTS:
        return []
    return [f"{source.path}:{number} speaks where programs spend their time: {match[0].strip()!r}."
            for number, line in enumerate(source.lines, 1)
            if (match := LOUD.search(strip_comment(line)))]


def strip_comment(line: str) -> str:
    return re.split(r"\s#\s|^\s*#\s|//|^\s*\*|/\*", line)[0]


HOT_MARKS = ("# ── hot path ──", "// ── hot path ──", "/* ── hot path ──")


def announced_once(source: Source) -> list[str]:
    """`── hot path ──` marks one stretch of a file, not several."""
    count = sum(line.lstrip().startswith(HOT_MARKS) for line in source.lines)
    return [f"{source.path} announces its hot path {count} times."] if count > 1 else []


def listed(tables: Mapping[str, set[str]], present: Iterable[PurePosixPath]) -> list[str]:
    """meson.build names what is in the folders of src/ringmill, neither more nor less."""
    wanted: dict[str, set[str]] = {"ring_sources": set(), "extensions": set(),
                                   "python_files": set()}
    for path in present:
        name = str(path)
        if path.suffix == ".c":
            wanted["ring_sources"].add(name)
        elif path.suffix == ".pyx":
            wanted["extensions"].add(name)
        elif path.suffix in {".py", ".pyi", ".pxd", ".pxi"} or path.name == "py.typed":
            wanted["python_files"].add(name)
    wrong = []
    for table, names in wanted.items():
        wrong += [f"src/ringmill/{name} is not in {table} of src/ringmill/meson.build."
                  for name in sorted(names - tables[table])]
        wrong += [f"{table} of src/ringmill/meson.build names {name}, which does not exist."
                  for name in sorted(tables[table] - names)]
    return wrong
