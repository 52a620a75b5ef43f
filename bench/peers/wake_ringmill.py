"""How late a sleeping machine is woken.  thread|signal|process SECONDS"""

import multiprocessing
import signal
import sys
import threading
import time

import ringmill
from wakes import Wakes, raise_signal, sender

what, seconds = sys.argv[1], float(sys.argv[2])


def by_thread() -> None:
    wakes, turn = Wakes(seconds), threading.Semaphore(0)
    machine, me = ringmill.machine(), ringmill.current()

    def came() -> None:
        wakes.came()
        ringmill.unpark(me)

    thread = sender(wakes, turn, lambda: machine.call_threadsafe(came))
    listen(wakes, turn, ringmill.park)
    thread.join()
    wakes.tell()


def by_signal() -> None:
    wakes, turn = Wakes(seconds), threading.Semaphore(0)
    with ringmill.signals(signal.SIGUSR1) as source:
        thread = sender(wakes, turn, raise_signal)

        def wait() -> None:
            next(source)
            wakes.came()

        listen(wakes, turn, wait)
        thread.join()
    wakes.tell()


def listen(wakes: Wakes, turn: threading.Semaphore, wait) -> None:
    while True:
        turn.release()
        wait()
        if not wakes.sent:
            wakes.late.pop()
            return


def partner(ping: ringmill.SharedEvent, pong: ringmill.SharedEvent, over: ringmill.SharedEvent):
    while not over.is_set():
        ping.wait()
        ping.clear()
        pong.set()


def by_process() -> None:
    """There and back is two wake-ups."""
    ping, pong, over = (ringmill.SharedEvent() for _ in range(3))
    child = multiprocessing.get_context("spawn").Process(target=partner, args=(ping, pong, over))
    child.start()
    ping.set()
    pong.wait()  # it has begun
    pong.clear()
    wakes = Wakes(seconds)
    while not wakes.over():
        wakes.sent = time.perf_counter_ns()
        ping.set()
        pong.wait()
        pong.clear()
        wakes.came()
        wakes.late[-1] //= 2
    over.set()
    ping.set()
    child.join()
    wakes.tell()


if __name__ == "__main__":
    ringmill.run({"thread": by_thread, "signal": by_signal, "process": by_process}[what])
