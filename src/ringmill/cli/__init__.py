"""The command line: `ringmill doctor`, `serve`, `demo`, `bench`.

Its libraries (click, rich, h11) are an extra, `ringmill[cli]`, and are imported nowhere else:
`import ringmill` must not need them. To add a verb: a module here with a click command, and its
name in `app.VERBS`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Without the extra it says which command would help."""
    try:
        from .app import ringmill_command
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich", "h11"):
            raise
        print(
            f"ringmill: the command line needs {error.name}; pip install 'ringmill[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    ringmill_command(prog_name="ringmill")
