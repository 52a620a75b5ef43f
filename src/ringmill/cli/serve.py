"""`ringmill serve DIR`: options, the listening socket, signals, statistics.

The server itself is in `http`. Knows the process (limits, signals, exit codes), and no HTTP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

import ringmill
from ringmill.errors import RingmillError
from ringmill.face.transfer import SPLICE_FROM

from .http.body import Sender
from .http.limits import Limits, connections_for
from .http.server import Server
from .http.site import Site

# The kernel's own bound since 5.4 (net.core.somaxconn): a burst waits there, not in our memory.
# TCP_DEFER_ACCEPT, which keeps silent clients there too, was tried: when more come than fit, those
# who do speak wait for retransmissions, up to a minute.
BACKLOG = 4096

DEFAULTS = Limits(connections=0)


class Seconds(click.FloatRange):
    """A span of time. Comparing, as FloatRange does, lets NaN through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("not a number of seconds", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    directory: str
    host: str
    port: int
    unix: str | None
    kernel: str | None
    list_directories: bool
    access_log: bool
    stats_file: str | None
    splice_from: int
    limits: Limits


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0 takes a free one.")
@click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option("--kernel", type=click.Choice(["linux", "soft"]),
              help="io_uring itself, or its stand-in.  [default: the best there is]")
@click.option("--header-limit", default=DEFAULTS.header_bytes, show_default=True,
              metavar="BYTES", type=click.IntRange(256), help="Longest request head.")
@click.option("--header-timeout", default=DEFAULTS.header_s, show_default=True,
              metavar="SECONDS", type=Seconds(0, min_open=True),
              help="From a request's first byte to the end of its head.")
@click.option("--idle-timeout", default=DEFAULTS.idle_s, show_default=True,
              metavar="SECONDS", type=Seconds(0, min_open=True),
              help="How long a connection may be silent between requests.")
@click.option("--stall-timeout", default=DEFAULTS.stall_s, show_default=True,
              metavar="SECONDS", type=Seconds(0, min_open=True),
              help="How long a client may take nothing of its reply.")
@click.option("--grace", default=DEFAULTS.grace_s, show_default=True,
              metavar="SECONDS", type=Seconds(0),
              help="How long replies may go on after Ctrl-C.")
@click.option("--max-connections", type=click.IntRange(1), metavar="COUNT",
              help="Open at once.  [default: what the limit of open files allows]")
@click.option("--access-log/--no-access-log", default=True, show_default=True,
              help="One line per request on stdout, in the combined format.")
@click.option("--index/--no-index", default=True, show_default=True,
              help="List directories that have no index.html.")
@click.option("--splice-from", default=SPLICE_FROM, show_default=True, metavar="BYTES",
              type=click.IntRange(1), help="Files from this size up go by splice.")
@click.option("--stats-file", metavar="PATH",
              help="Append a line of JSON at the end, and at SIGUSR1 (else on stderr).")
def serve(
    directory: str, host: str, port: int, unix: str | None, kernel: str | None,
    header_limit: int, header_timeout: float, idle_timeout: float, stall_timeout: float,
    grace: float, max_connections: int | None, access_log: bool, index: bool,
    splice_from: int, stats_file: str | None,
) -> None:
    """Serve the files below DIRECTORY over HTTP/1.1.

    Ctrl-C or SIGTERM ends it: nobody new is accepted, replies that are being sent are finished.
    A second one cuts them off.
    """
    limits = Limits(
        connections=max_connections or connections_for(open_files()),
        header_bytes=header_limit,
        header_s=header_timeout,
        idle_s=idle_timeout,
        stall_s=stall_timeout,
        grace_s=grace,
    )
    options = Options(
        directory, host, port, unix, kernel, index, access_log, stats_file, splice_from, limits
    )
    try:
        with make_machine(kernel) as machine:
            machine.run(run, options, machine)
    except (OSError, RingmillError) as error:
        raise click.ClickException(str(error)) from error


def make_machine(kernel: str | None) -> ringmill.Machine:
    try:
        return ringmill.Machine(kernel=kernel)
    except ValueError as error:  # RINGMILL_KERNEL or RINGMILL_DISABLE name what is not
        raise click.ClickException(str(error)) from error


def run(options: Options, machine: ringmill.Machine) -> None:
    """From the first fiber of `machine`, until a signal ends it."""
    with contextlib.ExitStack() as stack:
        site = Site(
            options.directory,
            list_directories=options.list_directories,
            target_bytes=options.limits.target_bytes,
        )
        stack.callback(site.close)
        sender = Sender(stall_s=options.limits.stall_s, splice_from=options.splice_from)
        if options.stats_file is not None:
            open(options.stats_file, "a").close()  # what it refuses is known before, not after
        listener, url = stack.enter_context(listen(options))
        server = Server(site, listener, options.limits, sender, log_fd(options))
        told = stack.enter_context(
            ringmill.signals(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        )
        say(f"serving {os.path.abspath(options.directory)} at {url} on {machine.kernel.name}")
        serve_until_stopped(server, told, options, machine)
    if options.stats_file is not None:
        tell(server, machine, options.stats_file)


def log_fd(options: Options) -> int | None:
    """Where the access log goes; nowhere when we were started with stdout closed."""
    return sys.stdout.fileno() if options.access_log and sys.stdout is not None else None


def serve_until_stopped(
    server: Server, told: ringmill.signals, options: Options, machine: ringmill.Machine
) -> None:
    server.start()
    watcher = ringmill.spawn(watch, server, told, options, machine)
    try:
        server.join()
    finally:
        server.stop()
        server.drain()
        told.close()  # ends the watcher's iteration
        watcher.join()


def watch(
    server: Server, told: ringmill.signals, options: Options, machine: ringmill.Machine
) -> None:
    """What signals mean: the first stops, the second cuts, SIGUSR1 asks how it goes."""
    for number in told:
        if number == signal.SIGUSR1:
            try_to_tell(server, machine, options.stats_file)
        elif server.stopping:
            server.cut()
        else:
            say("stopping; once more to stop at once")
            server.stop()


@contextlib.contextmanager
def listen(options: Options) -> Iterator[tuple[socket.socket, str]]:
    """The listening socket, and how to reach it."""
    if options.unix is not None:
        with listen_unix(options.unix) as listener:
            yield listener, f"unix:{options.unix}"
        return
    with listen_tcp(options.host, options.port) as listener:
        host, port, *_ = listener.getsockname()
        yield listener, f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def listen_tcp(host: str, port: int) -> socket.socket:
    try:
        listener = ringmill.tcp_listen(host, port, backlog=BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {host}, port {port}: {error}") from error
    # Accepted sockets inherit it. Every reply leaves in as few sends as it can; none should wait
    # for the client's acknowledgement of the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.contextmanager
def listen_unix(path: str) -> Iterator[socket.socket]:
    """A Unix listener at `path`. A socket that a dead server left there is replaced; at the end
    ours is removed, and nobody else's: another server may have taken the path over meanwhile."""
    if not path:
        raise OSError("--unix wants a path")  # the kernel would make up a name
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            bind_unix(listener, path)
            bound = identity(path)
            listener.listen(BACKLOG)
        except OSError as error:
            raise OSError(f"cannot listen on {path}: {error}") from error
        try:
            yield listener
        finally:
            if identity(path) == bound:
                with contextlib.suppress(OSError):
                    os.unlink(path)


def bind_unix(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError:
        if not is_dead_socket(path):
            raise
        os.unlink(path)
        listener.bind(path)


def identity(path: str) -> tuple[int, int] | None:
    """Which file stands at `path`; None when there is none."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def is_dead_socket(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def open_files() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def tell(server: Server, machine: ringmill.Machine, path: str | None) -> None:
    """One line of JSON: what the server did, and what its machine counted."""
    line = json.dumps(statistics(server, machine), default=str)
    if path is None:
        say(line)
        return
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def try_to_tell(server: Server, machine: ringmill.Machine, path: str | None) -> None:
    """The same while clients are being served: what fails is said, and nobody suffers."""
    try:
        tell(server, machine, path)
    except OSError as error:
        say(f"no statistics: {error}")


def statistics(server: Server, machine: ringmill.Machine) -> dict[str, Any]:
    return {
        "kernel": machine.kernel.name,
        "open": len(server.connections),
        **dataclasses.asdict(server.counts),
        **dataclasses.asdict(server.sender.sent),
        "machine": dict(machine.stats()),
    }


def say(line: str) -> None:
    if sys.stderr is None:
        return  # we were started with it closed; print would take stdout instead
    with contextlib.suppress(OSError):  # it may be a pipe that nobody reads any more
        print(line, file=sys.stderr, flush=True)
