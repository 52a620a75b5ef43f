"""How late a sleeping asyncio loop is woken.  LOOP thread|signal|process SECONDS"""

import asyncio
import signal
import sys
import threading

import loops
from wakes import Wakes, raise_signal, sender

loop_name, what, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])


async def main() -> None:
    loop = asyncio.get_running_loop()
    wakes, turn, woken = Wakes(seconds), threading.Semaphore(0), asyncio.Event()

    def came() -> None:
        wakes.came()
        woken.set()

    if what == "signal":
        loop.add_signal_handler(signal.SIGUSR1, came)
        thread = sender(wakes, turn, raise_signal)
    else:
        thread = sender(wakes, turn, lambda: loop.call_soon_threadsafe(came))
    while True:
        turn.release()
        await woken.wait()
        woken.clear()
        if not wakes.sent:
            wakes.late.pop()
            break
    thread.join()
    wakes.tell()


if what == "process":
    print("asyncio has no event that processes share", file=sys.stderr)
    sys.exit(loops.CANNOT)
loops.run(loop_name, main())
