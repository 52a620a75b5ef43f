"""The click group: which verbs there are. What they do stands in a module each."""

from __future__ import annotations

import click

from .bench import bench
from .demo import demo
from .doctor import doctor
from .serve import serve
from .versions import ringmill_version

VERBS = (doctor, serve, demo, bench)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ringmill_version(), prog_name="ringmill")
def ringmill_command() -> None:
    """I/O for Python on io_uring."""


for verb in VERBS:
    ringmill_command.add_command(verb)
