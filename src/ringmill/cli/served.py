"""`ringmill serve` as a child process: started, waited for, asked how it went, ended.

What the demo and the tests have in common. Knows processes; knows no HTTP.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from types import TracebackType
from typing import Any

READY = "serving "

# Starting Python and importing everything takes well below a second; on a machine that swaps or
# runs under a sanitizer it takes longer. Somebody waits: after this it is an error, not a hang.
START_S = 60.0
END_S = 60.0


class ServerFailed(Exception):
    """The child did not start, or did not end as it should; the text is its own words."""


class ServedDirectory:
    """`with ServedDirectory(path, "--kernel", "soft") as server: ... server.port`"""

    def __init__(self, directory: str, *options: str, wrapper: tuple[str, ...] = ()) -> None:
        self.command = [
            *wrapper,
            *(sys.executable, "-m", "ringmill", "serve", directory),
            *options,
        ]
        self.url = ""
        self.words: list[str] = []  # all it said on stderr

    def __enter__(self) -> ServedDirectory:
        self._folder = tempfile.TemporaryDirectory(prefix="ringmill-")
        self.stats_path = os.path.join(self._folder.name, "stats")
        command = [*self.command, "--stats-file", self.stats_path]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, args=(ready,), daemon=True)
        self._listener.start()
        try:
            line = ready.get(timeout=START_S)
        except queue.Empty:
            line = None
        if line is None:
            self._end(signal.SIGKILL)
            raise ServerFailed(f"did not start: {' '.join(self.words)}")
        self.url = line.partition(" at ")[2].partition(" on ")[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = self._end(signal.SIGINT)
        if code != 0 and error is None:
            raise ServerFailed(f"ended with {code}: {' '.join(self.words)}")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def stats(self) -> dict[str, Any]:
        """What the server said at its end; to be asked after the block."""
        return self._stats

    def _listen(self, ready: queue.SimpleQueue[str | None]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.words.append(line.rstrip())
            if line.startswith(READY):
                ready.put(line)
        ready.put(None)

    def _end(self, number: signal.Signals) -> int:
        """Signal the child, wait for it, take its statistics; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            self.words.append(f"(did not end within {END_S:.0f} seconds)")
        self._listener.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._stats = self._read_stats()
        self._folder.cleanup()
        return code

    def _read_stats(self) -> dict[str, Any]:
        try:
            with open(self.stats_path, encoding="utf-8") as file:
                return dict(json.loads(file.readlines()[-1]))
        except (OSError, IndexError):
            return {}
