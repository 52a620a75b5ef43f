"""Signals: Ctrl-C ends a wait, handlers run and may raise, none is lost just before the sleep.

Each in a program of its own: signals belong to the process. None asserts a time; a lost signal
makes the program wait for ever, which its time limit tells.
"""

from __future__ import annotations

import signal

import pytest

import ringmill
from support import programs

# A thread that interrupts the main one as soon as the machine sleeps there.
INTERRUPT = """
    import os, signal, sys, threading, time
    import ringmill
    from ringmill import aio

    machine = ringmill.machine()

    def interrupt(number=signal.SIGINT, count=1):
        def work():
            for _ in range(count):
                waits = machine.stats()["waits"]
                while machine.stats()["waits"] == waits:
                    time.sleep(0.001)
                time.sleep(0.01)
                os.kill(os.getpid(), number)
        threading.Thread(target=work, daemon=True).start()

    def caught(function, *arguments):
        try:
            function(*arguments)
        except KeyboardInterrupt:
            print("interrupted")
        else:
            print("not interrupted")
        ringmill.nop()  # the machine is as good as before
        ringmill.sleep(0.001)
"""


@pytest.mark.req("T14")
@pytest.mark.parametrize("wait", [
    "caught(ringmill.sleep, 3600)",
    "caught(ringmill.park)",
    "caught(ringmill.read, os.pipe()[0], 1)",
    "caught(ringmill.run, ringmill.sleep, 3600)",
    "caught(machine.run, ringmill.read, os.pipe()[0], 1)",
    "caught(ringmill.run, aio_sleep())",
    "caught(ringmill.spawn(ringmill.sleep, 3600).join)",
    "caught(machine.run, lambda: ringmill.spawn(aio_sleep()).join())",
    "caught(in_scope)",
    "caught(in_timeout)",
])
def test_ctrl_c_ends_the_wait(kernel, wait):
    out = programs.clean(INTERRUPT + f"""
    async def aio_sleep():
        await aio.sleep(3600)

    def in_scope():
        with ringmill.scope() as s:
            s.spawn(ringmill.sleep, 3600)

    def in_timeout():
        with ringmill.timeout(3600):
            ringmill.sleep(3600)

    interrupt()
    {wait}
    machine.close()
    """, kernel=kernel)
    assert out == "interrupted\n"


def test_ctrl_c_strikes_main_not_the_others(kernel):
    """However many fibers wait, it is main that is interrupted; the others go on."""
    out = programs.clean(INTERRUPT + """
    def other(n):
        try:
            ringmill.sleep(0.2)
            ends.append("slept")
        except BaseException as error:
            ends.append(type(error).__name__)

    async def task():
        await aio.sleep(0.2)
        ends.append("slept")

    def main():
        fibers = [ringmill.spawn(other, n) for n in range(20)] + [ringmill.spawn(task())]
        try:
            ringmill.sleep(3600)
        except KeyboardInterrupt:
            print("main")
        for fiber in fibers:
            fiber.join()

    ends = []
    interrupt()
    ringmill.run(main)
    print(sorted(set(ends)), len(ends))
    """, kernel=kernel)
    assert out == "main\n['slept'] 21\n"


def test_ctrl_c_cancels_what_main_leaves_behind(kernel):
    out = programs.clean(INTERRUPT + """
    def other():
        try:
            ringmill.sleep(3600)
        finally:
            print("ended")

    def main():
        ringmill.spawn(other)
        ringmill.sleep(3600)

    interrupt()
    caught(ringmill.run, main)
    """, kernel=kernel)
    assert out == "ended\ninterrupted\n"


def test_ctrl_c_while_fibers_are_busy(kernel):
    """No sleep at all: it is raised in whoever runs, and ends the program all the same."""
    out = programs.clean("""
        import os, signal, threading, time
        import ringmill

        def spin():
            started.set()
            while True:
                ringmill.yield_now()

        def main():
            for _ in range(3):
                ringmill.spawn(spin)
            ringmill.sleep(3600)

        started = threading.Event()
        def work():
            started.wait()
            time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=work, daemon=True).start()
        try:
            ringmill.run(main)
        except KeyboardInterrupt:
            print("interrupted")
    """, kernel=kernel)
    assert out == "interrupted\n"


def test_ctrl_c_unhandled_ends_the_program_as_usual(kernel):
    ended = programs.run(INTERRUPT + """
    def other():
        try:
            ringmill.sleep(3600)
        finally:
            print("ended", flush=True)
    def main():
        ringmill.spawn(other)
        ringmill.sleep(3600)
    interrupt()
    ringmill.run(main)
    """, kernel=kernel)
    assert ended.code == -signal.SIGINT
    assert ended.err.count("Traceback") == 1 and ended.err.strip().endswith("KeyboardInterrupt")
    assert ended.out == "ended\n"


@pytest.mark.req("T14")
def test_a_handler_that_raises(kernel):
    """What a Python handler raises arrives in main, like Ctrl-C; what it only does, does not."""
    out = programs.clean(INTERRUPT + """
    class Alarm(Exception):
        pass

    def handler(number, frame):
        raise Alarm(number)

    def main():
        try:
            ringmill.sleep(3600)
        except Alarm as alarm:
            print("alarm", alarm.args[0] == signal.SIGUSR1)
        ringmill.nop()

    signal.signal(signal.SIGUSR1, handler)
    interrupt(signal.SIGUSR1)
    ringmill.run(main)
    interrupt(signal.SIGUSR1)
    main()
    """, kernel=kernel)
    assert out == "alarm True\n" * 2


def test_a_handler_that_does_not_raise_ends_no_wait(kernel):
    out = programs.clean(INTERRUPT + """
    count = []
    signal.signal(signal.SIGUSR1, lambda *_: count.append(1))
    interrupt(signal.SIGUSR1, count=5)

    def main():
        reader, writer = os.pipe()
        op = aio.read(reader, 1)
        while len(count) < 5:
            ringmill.sleep(0.005)
        assert not op.done
        os.write(writer, b"x")
        print(ringmill.wait(op), len(count))
        os.close(reader), os.close(writer)
    ringmill.run(main)
    """, kernel=kernel)
    assert out == "b'x' 5\n"


def test_a_handler_wakes_a_fiber(kernel):
    """unpark() and call_threadsafe() from a handler: it runs in the machine's own thread."""
    out = programs.clean(INTERRUPT + """
    def main():
        me = ringmill.current()
        signal.signal(signal.SIGUSR1, lambda *_: ringmill.unpark(me))
        interrupt(signal.SIGUSR1)
        ringmill.park()
        signal.signal(signal.SIGUSR2, lambda *_: machine.call_threadsafe(ringmill.unpark, me))
        interrupt(signal.SIGUSR2)
        ringmill.park()
        print("woken twice")
    ringmill.run(main)
    """, kernel=kernel)
    assert out == "woken twice\n"


def test_a_handler_that_waits_is_refused_where_the_machine_sleeps(kernel):
    """It runs in the midst of somebody's wait, which it must not end, lose or cut short."""
    out = programs.clean(INTERRUPT + """
    refused = []

    def handler(*_):
        try:
            ringmill.sleep(0.001)
        except ringmill.WouldBlock:
            refused.append(1)

    def ticks():
        for _ in range(100):
            ringmill.sleep(0.001)
        return "ticked"

    def main():
        reader, writer = os.pipe()
        ticker = ringmill.spawn(ticks)
        op = aio.read(reader, 10)
        ringmill.sleep(0.2)
        os.write(writer, b"data")
        print(ticker.join(), ringmill.wait(op))

    signal.signal(signal.SIGUSR1, handler)
    interrupt(signal.SIGUSR1, count=5)
    ringmill.run(main)
    print(len(refused) > 0)
    """, kernel=kernel)
    assert out == "ticked b'data'\nTrue\n"


@pytest.mark.req("T14")
def test_no_signal_is_lost_just_before_the_sleep(kernel):
    """Pitfall 8: a timer fires at every moment of the way into the sleep; each one is answered.

    Without the wake-up descriptor, one that comes between the last look and the system call
    would be seen only when something else ends the wait; here nothing else ever does.
    """
    out = programs.clean("""
        import signal, sys
        import ringmill

        rounds = 3000
        seen = 0

        def handler(*_):
            global seen
            seen += 1
            ringmill.unpark(me)

        def main():
            global me
            me = ringmill.current()
            for number in range(rounds):
                # 1 to 60 µs: before, during and after the way down
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 60))
                ringmill.park()
            print(seen == rounds)

        signal.signal(signal.SIGALRM, handler)
        ringmill.run(main)
    """, kernel=kernel)
    assert out == "True\n"


def test_signals_rain_while_io_goes_on(kernel):
    """EINTR is neither an error nor a completion: every byte arrives, once."""
    out = programs.clean("""
        import os, signal, socket
        import ringmill

        count = 0
        def handler(*_):
            global count
            count += 1

        def main():
            left, right = socket.socketpair()
            data = os.urandom(1 << 20)
            with ringmill.scope() as s:
                s.spawn(ringmill.sendall, left, data)
                got = bytearray()
                while len(got) < len(data):
                    got += ringmill.recv(right, 5000)
            while count < 50:
                ringmill.sleep(0.001)
            print(bytes(got) == data)
            left.close(), right.close()

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        ringmill.run(main)
        signal.setitimer(signal.ITIMER_REAL, 0)
    """, kernel=kernel)
    assert out == "True\n"


def test_a_users_own_wakeup_descriptor_is_left_alone(kernel):
    """Whoever set signal.set_wakeup_fd() first, or after us, keeps it."""
    programs.clean("""
        import os, signal
        import ringmill

        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        ringmill.machine()
        assert signal.set_wakeup_fd(writer) == writer
        ringmill.machine().close()
        assert signal.set_wakeup_fd(-1) == writer

        machine = ringmill.machine()
        ours = signal.set_wakeup_fd(writer)
        assert ours not in (-1, writer)
        machine.close()
        assert signal.set_wakeup_fd(-1) == writer, "close() took the user's descriptor away"

        machine = ringmill.machine()
        machine.close()
        assert signal.set_wakeup_fd(-1) == -1, "close() left a closed descriptor behind"
    """, kernel=kernel)


def test_keyboard_interrupt_in_this_process(machine):
    """Raised by a handler while a fiber computes: it reaches main through the join."""

    def fiber():
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        machine.run(lambda: ringmill.spawn(fiber).join())
