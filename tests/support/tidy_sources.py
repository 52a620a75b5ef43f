"""Reading source files for test_tidy: which there are, what they import, where functions end.

Knows the syntax of Python, Cython, C and of the tables in src/ringmill/meson.build; does not know
the rules (tidy_rules.py). Everything takes text and returns values, so bad samples are one line.
"""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ringmill"
SOURCE_SUFFIXES = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h"}
CYTHON_SUFFIXES = {".pyx", ".pxd", ".pxi"}


@dataclass(frozen=True)
class Source:
    """One file: where it is, relative to the repository, and what it says."""

    path: PurePosixPath
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def repository_files() -> list[PurePosixPath]:
    """Every file git knows or would know: what is ignored is nobody's business."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 0:
        names = found.stdout.split("\0")
    else:  # an unpacked source distribution has no .git
        names = [str(path.relative_to(ROOT))
                 for top in ("src", "tests", "bench", "tools") for path in (ROOT / top).rglob("*")
                 if "__pycache__" not in path.parts]
    return sorted(PurePosixPath(name) for name in names if name and (ROOT / name).is_file())


def sources(top: str = "") -> list[Source]:
    """The source files below `top`, read."""
    return [Source(path, (ROOT / path).read_text(encoding="utf-8"))
            for path in repository_files()
            if path.suffix in SOURCE_SUFFIXES and str(path).startswith(top)]


def generated() -> set[PurePosixPath]:
    """The files .gitattributes marks linguist-generated."""
    marked = set()
    for line in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and not words[0].startswith("#") and "linguist-generated" in words[1:]:
            pattern = words[0].removeprefix("/")
            marked.update(path for path in repository_files() if path.match(pattern))
    return marked


# ── imports ──────────────────────────────────────────────────────────────────────────────────────


def module_of(path: PurePosixPath) -> str:
    """src/ringmill/core/op.pyx -> ringmill.core.op; a header is ringmill.ring.<its stem>."""
    parts = path.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: Source) -> list[tuple[int, str]]:
    """(line, module) of everything a source of the package takes from the package."""
    if source.path.suffix in {".c", ".h"}:
        return c_includes(source)
    if source.path.suffix in CYTHON_SUFFIXES:
        return cython_imports(source)
    return python_imports(source)


def python_imports(source: Source) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute("." * node.level + (node.module or ""), source)
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return [(line, name) for line, name in found if ours(name)]


CYTHON_FROM = re.compile(r"^\s*from\s+([.\w]+)\s+c?import\s+(.*)")
CYTHON_IMPORT = re.compile(r"^\s*c?import\s+([\w.]+(?:\s*,\s*[\w.]+)*)")
CYTHON_EXTERN = re.compile(r"""^\s*cdef\s+extern\s+from\s+["<]([^">]+)[">]""")


def cython_imports(source: Source) -> list[tuple[int, str]]:
    found = []
    lines = source.lines
    for number, line in enumerate(lines, 1):
        if match := CYTHON_FROM.match(line):
            base, names = absolute(match[1], source), match[2]
            after = number
            while "(" in names and ")" not in names and after < len(lines):
                names += " " + lines[after].split("#")[0]
                after += 1
            names = names.split("#")[0].strip(" ()")
            found += [(number, f"{base}.{name.split()[0]}") for name in names.split(",")
                      if name.strip()]
        elif match := CYTHON_IMPORT.match(line):
            found += [(number, name.strip()) for name in match[1].split(",")]
        elif match := CYTHON_EXTERN.match(line):
            found += [(number, header) for header in header_modules(match[1], source)]
    return [(number, name) for number, name in found if ours(name)]


C_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def c_includes(source: Source) -> list[tuple[int, str]]:
    return [(number, name)
            for number, line in enumerate(source.lines, 1) if (match := C_INCLUDE.match(line))
            for name in header_modules(match[1], source)]


def header_modules(header: str, source: Source) -> list[str]:
    """A header of ours as a module name: beside its user, in ring/, or nothing of ours."""
    for folder in (source.path.parent, PurePosixPath("src") / PACKAGE / "ring"):
        if (ROOT / folder / header).is_file():
            return [module_of(PurePosixPath(str((ROOT / folder / header).resolve()
                                               .relative_to(ROOT))))]
    return []


def absolute(name: str, source: Source) -> str:
    """`..core.op` seen from ringmill.ops.x -> ringmill.core.op."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    package = source.path.parent.parts[1:]
    base = package[: len(package) - (dots - 1)]
    return ".".join([*base, name.lstrip(".")]).rstrip(".")


def ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(PACKAGE + ".")


# ── functions ────────────────────────────────────────────────────────────────────────────────────


def functions(source: Source) -> list[tuple[str, int, int]]:
    """(name, first line, number of lines) of every function."""
    if source.path.suffix in {".c", ".h"}:
        return c_functions(source)
    if source.path.suffix in CYTHON_SUFFIXES:
        return cython_functions(source)
    return [(node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(ast.parse(source.text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


# A def, cpdef or async def; or a cdef with an argument list that is neither class nor extern.
CYTHON_DEF = re.compile(
    r"^(\s*)(?:async\s+def|cpdef|def|cdef(?!\s+(?:class|extern|struct|enum|union)))\b"
    r"[^=(#]*?(\w+)\s*\(")


def cython_functions(source: Source) -> list[tuple[str, int, int]]:
    """Functions by indentation: Cython's own parser wants a whole compilation."""
    found = []
    lines = source.lines
    for number, line in enumerate(lines, 1):
        if not (match := CYTHON_DEF.match(line)):
            continue
        indent, last = len(match[1]), number
        for after in range(number, len(lines)):
            text = lines[after]
            if not text.strip():
                continue
            if len(text) - len(text.lstrip()) <= indent and not text.lstrip().startswith(")"):
                break
            last = after + 1
        if last > number:  # one line only: a declaration, or a cdef variable with a call
            found.append((match[2], number, last - number + 1))
    return found


# A signature in column 0, then a brace; structs have no parentheses, initialisers have `=`.
C_FUNCTION = re.compile(r"^(?=[A-Za-z_])[^;{}#=]*?\b(\w+)\s*\([^;{}]*\)[^;{}()=]*\{", re.MULTILINE)


def c_functions(source: Source) -> list[tuple[str, int, int]]:
    """Functions by columns: clang-format puts what begins one and the `}` that ends it in 0."""
    found = []
    text, at = source.text, 0
    while match := C_FUNCTION.search(text, at):
        line_end = text.find("\n", match.end())
        if text[match.end():line_end].rstrip().endswith("}"):
            at = line_end
        else:
            at = text.find("\n}", match.end()) + 2
        if at < match.end():
            at = len(text)  # unbalanced: the compiler will say so
        first = text.count("\n", 0, match.start()) + 1
        found.append((match[1], first, text.count("\n", 0, at) + 1 - first + 1))
    return found


# ── meson.build ──────────────────────────────────────────────────────────────────────────────────


def meson_lists(text: str) -> dict[str, set[str]]:
    """The three tables of src/ringmill/meson.build, as paths below src/ringmill."""
    code = "\n".join(line.split("#")[0] for line in text.splitlines())
    ring = re.search(r"ring_sources\s*=\s*files\((.*?)\)", code, re.DOTALL)
    tables = {name: re.search(rf"^{name}\s*=\s*{{(.*?)^}}", code, re.DOTALL | re.MULTILINE)
              for name in ("extensions", "python_files")}
    if ring is None or None in tables.values():
        raise ValueError("src/ringmill/meson.build lacks ring_sources, extensions or python_files")
    extensions = re.findall(r"'(\w+)'\s*:\s*\[\s*'([^']+)'", tables["extensions"][1])
    return {
        "ring_sources": set(re.findall(r"'([^']+)'", ring[1])),
        "extensions": {f"{folder}/{name}.pyx" for name, folder in extensions},
        "python_files": {
            str(PurePosixPath(folder) / name)
            for folder, names in re.findall(r"'([^']+)'\s*:\s*\[(.*?)\]",
                                            tables["python_files"][1], re.DOTALL)
            for name in re.findall(r"'([^']+)'", names)},
    }
