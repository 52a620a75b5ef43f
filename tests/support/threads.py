"""Calls from another thread. Knows threads only."""

from __future__ import annotations

import threading
from typing import Any


def elsewhere(function: Any, *arguments: Any) -> Any:
    """What `function` returned or raised in a thread of its own."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(function(*arguments))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return outcome[0]
