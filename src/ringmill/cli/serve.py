"""`ringmill serve DIR`: options, the listening socket, signals, statistics.

The server itself is in `http`. Knows the process (limits, signals, exit codes), and no HTTP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import signal
import socket
import stat
import sys
from dataclasses import dataclass
from typing import Any

import click

import ringmill
from ringmill.errors import Cancelled, RingmillError

from .http.body import SPLICE_FROM, Sender
from .http.limits import Limits, connections_for
from .http.server import Server
from .http.site import Site
from .signals import Signals

# The kernel's own bound since 5.4 (net.core.somaxconn): a burst waits there, not in our memory.
# TCP_DEFER_ACCEPT, which keeps silent clients there too, was tried: when more come than fit, those
# who do speak wait for retransmissions, up to a minute.
BACKLOG = 4096

DEFAULTS = Limits(connections=0)


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
              metavar="SECONDS", type=click.FloatRange(0, min_open=True),
              help="From a request's first byte to the end of its head.")
@click.option("--idle-timeout", default=DEFAULTS.idle_s, show_default=True,
              metavar="SECONDS", type=click.FloatRange(0, min_open=True),
              help="How long a connection may be silent between requests.")
@click.option("--stall-timeout", default=DEFAULTS.stall_s, show_default=True,
              metavar="SECONDS", type=click.FloatRange(0, min_open=True),
              help="How long a client may take nothing of its reply.")
@click.option("--grace", default=DEFAULTS.grace_s, show_default=True,
              metavar="SECONDS", type=click.FloatRange(0),
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
        machine = ringmill.Machine(kernel=kernel)
        try:
            machine.run(lambda: run(options, machine))
        finally:
            machine.close()
    except (OSError, RingmillError) as error:
        raise click.ClickException(str(error)) from error


def run(options: Options, machine: ringmill.Machine) -> None:
    """From the first fiber of `machine`, until a signal ends it."""
    listener, url = listen(options)
    log_fd = sys.stdout.fileno() if options.access_log else None
    site = Site(
        options.directory,
        list_directories=options.list_directories,
        target_bytes=options.limits.target_bytes,
    )
    sender = Sender(stall_s=options.limits.stall_s, splice_from=options.splice_from)
    server = Server(site, listener, options.limits, sender, log_fd)
    try:
        with Signals(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) as signals:
            say(f"serving {os.path.abspath(options.directory)} at {url} on {machine.kernel.name}")
            serve_until_stopped(server, signals, options, machine)
    finally:
        listener.close()
        if options.unix is not None:
            os.unlink(options.unix)
        sender.close()
        site.close()
    if options.stats_file is not None:
        tell(server, machine, options.stats_file)


def serve_until_stopped(
    server: Server, signals: Signals, options: Options, machine: ringmill.Machine
) -> None:
    server.start()
    watcher = ringmill.spawn(watch, server, signals, options, machine)
    try:
        server.join()
    finally:
        server.stop()
        server.drain()
        watcher.cancel()
        watcher.join()


def watch(server: Server, signals: Signals, options: Options, machine: ringmill.Machine) -> None:
    """What signals mean: the first stops, the second cuts, SIGUSR1 asks how it goes."""
    try:
        while True:
            number = signals.next()
            if number == signal.SIGUSR1:
                try_to_tell(server, machine, options.stats_file)
            elif server.stopping:
                server.cut()
            else:
                say("stopping; once more to stop at once")
                server.stop()
    except Cancelled:
        pass  # the server has ended


def listen(options: Options) -> tuple[socket.socket, str]:
    """The listening socket, and how to reach it."""
    if options.unix is not None:
        return listen_unix(options.unix), f"unix:{options.unix}"
    try:
        listener = ringmill.tcp_listen(options.host, options.port, backlog=BACKLOG)
    except OSError as error:
        where = f"{options.host}, port {options.port}"
        raise OSError(f"cannot listen on {where}: {error}") from error
    # Accepted sockets inherit it. Every reply leaves in as few sends as it can; none should wait
    # for the client's acknowledgement of the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port, *_ = listener.getsockname()
    return listener, f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def listen_unix(path: str) -> socket.socket:
    """A Unix listener at `path`. A socket that a dead server left there is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        try:
            listener.bind(path)
        except OSError:
            if not is_dead_socket(path):
                raise
            os.unlink(path)
            listener.bind(path)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


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
    with contextlib.suppress(OSError):  # stderr may be a pipe that nobody reads any more
        print(line, file=sys.stderr, flush=True)
