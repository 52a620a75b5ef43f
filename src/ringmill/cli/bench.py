"""`ringmill bench`: put the questions of `bench/`, in a checkout.

The harness, its peers and its C programs are not part of the installed package: this verb finds
them where it is called.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

HARNESS = Path("bench", "__main__.py")


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench(words: tuple[str, ...]) -> None:
    """Compare with the peers, side by side (`--list` tells the questions)."""
    if not HARNESS.is_file():
        raise click.ClickException(
            f"{HARNESS} is not here: benchmarks are run from a checkout of ringmill"
        )
    sys.exit(subprocess.run([sys.executable, "-m", "bench", *words], check=False).returncode)
