"""What can go wrong, named by what became of the resource. An errno stays an `OSError`."""


class RingmillError(Exception):
    """Base of the errors that ringmill itself raises."""


class ClosedError(RingmillError):
    """The machine is closed, or did not survive a fork. An op that had begun was cancelled."""


class WrongThread(RingmillError):
    """An op, fiber or machine was used from a thread that does not own it; nothing was done.

    `Machine.call_threadsafe` is the way in.
    """


class WouldBlock(RingmillError):
    """A call that waits was made where nobody may wait: in a task's step or in a callback.

    In a coroutine, `await ringmill.aio.recv(…)` is what was meant.
    """


class WouldExceedBudget(RingmillError):
    """A limit of the machine is reached (its name is in the message); nothing was submitted."""


class IncompleteRead(RingmillError, EOFError):
    """The end came before all bytes did. `partial` holds those that came, `expected` the count."""

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"{len(partial)} of {expected} bytes came before the end")
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[type["IncompleteRead"], tuple[bytes, int]]:
        return type(self), (self.partial, self.expected)


class NotAllSent(RingmillError):
    """Some messages of a `sendmany` were refused; the others went.

    `sent`: how many went. `refused`: (number, OSError) of each that did not, counted from 0.
    """

    def __init__(self, sent: int, refused: list[tuple[int, OSError]]) -> None:
        number, error = refused[0]
        super().__init__(f"{len(refused)} of {sent + len(refused)} messages were refused; the "
                         f"first is number {number}: {error}")
        self.sent = sent
        self.refused = refused

    def __reduce__(self) -> tuple[type["NotAllSent"], tuple[int, list[tuple[int, OSError]]]]:
        return type(self), (self.sent, self.refused)


class WorkerError(RingmillError):
    """A worker of a Cluster failed; the others have been ended. Its traceback is in the message.

    `index` says which one; `exitcode` is as in multiprocessing: negative when a signal killed it.
    """

    def __init__(self, message: str, index: int, exitcode: int | None) -> None:
        super().__init__(message)
        self.index = index
        self.exitcode = exitcode

    def __reduce__(self) -> tuple[type["WorkerError"], tuple[str, int, int | None]]:
        return type(self), (str(self), self.index, self.exitcode)


class Cancelled(BaseException):
    """Somebody asked this fiber, task or op to stop. Raised once per request, where it waits.

    A `BaseException`, so that `except Exception` does not swallow it.
    """
