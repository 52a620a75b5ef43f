"""The turn policy: ready fibers do not starve I/O, and I/O does not starve ready fibers.

Pitfall 24. Counts, not times: stats()["max_switches_between_io"] against each policy's bound.
"""

from __future__ import annotations

import os
import select
import time

import pytest

import ringmill
from ringmill import Adaptive, Fixed, Relative, aio

BOUND_MAX = 4096  # what no policy exceeds

POLICIES = [
    (Fixed(1), 1), (Fixed(7), 7), (Fixed(256), 256), (Fixed(4096), 4096),
    (Relative(), 16), (Relative(0.5, least=3), 3), (Relative(1.0, 1.0, least=1), 3),
    (Relative(0, least=50), 50),
    (Adaptive(), BOUND_MAX), (Adaptive(1e-6), BOUND_MAX), (Adaptive(1.0), BOUND_MAX),
]


def two_who_never_wait(face, stop):
    """Runnable for ever; each gives way after every step."""
    def fiber():
        while not stop:
            ringmill.yield_now()

    async def task():
        while not stop:
            await aio.yield_now()

    return [fiber if face == "fiber" else task() for _ in range(2)]


@pytest.mark.req("U7", "U8", "U9", "U10", "U11", "U12")
@pytest.mark.parametrize("policy, bound", POLICIES, ids=lambda value: str(value))
def test_a_reader_gets_its_data_while_others_never_wait(kernel, face, policy, bound, pipe):
    """Without a bound the runqueue is never empty and the reader waits for ever."""
    reader, writer = pipe
    stop = []

    def main():
        spinners = [ringmill.spawn(what) for what in two_who_never_wait(face, stop)]
        got = []
        for n in range(20):
            op = aio.read(reader, 10)
            ringmill.yield_now()
            os.write(writer, b"%d" % n)
            got.append(ringmill.wait(op))
        stop.append(1)
        for spinner in spinners:
            spinner.join()
        return got

    with ringmill.Machine(kernel=kernel, balance=policy) as machine:
        assert machine.run(main) == [b"%d" % n for n in range(20)]
        seen = machine.stats()["max_switches_between_io"]
        assert 1 <= seen <= bound


@pytest.mark.req("U9", "U10")
@pytest.mark.parametrize("n", [1, 2, 16, 100, 4096])
def test_fixed_is_reached_and_never_exceeded(kernel, face, n):
    """With only runnable strands, the bound is what is seen, exactly."""
    async def task(rounds):
        for _ in range(rounds):
            await aio.yield_now()

    def fiber(rounds):
        for _ in range(rounds):
            ringmill.yield_now()

    with ringmill.Machine(kernel=kernel, balance=Fixed(n)) as machine:
        def main():
            for _ in range(3):
                ringmill.spawn(fiber, n) if face == "fiber" else ringmill.spawn(task(n))
            for _ in range(3 * n):
                ringmill.yield_now()

        machine.run(main)
        assert machine.stats()["max_switches_between_io"] == n


@pytest.mark.req("U11")
def test_relative_follows_the_runqueue(kernel):
    """alpha × runnable, once that is more than `least`."""
    def spin(rounds):
        for _ in range(rounds):
            ringmill.yield_now()

    seen = {}
    for count in (4, 400):
        with ringmill.Machine(kernel=kernel, balance=Relative(0.5, least=16)) as machine:
            def main(count=count):
                with ringmill.scope() as s:
                    for _ in range(count):
                        s.spawn(spin, 30)

            machine.run(main)
            seen[count] = machine.stats()["max_switches_between_io"]
    assert seen[4] == 16
    assert 150 <= seen[400] <= 201  # half of those who could run


@pytest.mark.req("U11")
def test_relative_looks_when_enough_is_pending(kernel):
    """beta × SQ: submissions do not wait for the switches' bound."""
    enters = {}
    for beta in (0.05, 1.0):
        with ringmill.Machine(kernel=kernel, entries=256,
                              balance=Relative(1.0, beta, least=4096)) as machine:
            def work():
                for _ in range(50):
                    aio.nop().detach()
                    ringmill.yield_now()

            def main():
                with ringmill.scope() as s:
                    for _ in range(4):
                        s.spawn(work)

            before = machine.stats()["enters"]
            machine.run(main)
            enters[beta] = machine.stats()["enters"] - before
    assert enters[1.0] <= 5
    assert enters[0.05] >= 200 // 13 - 2  # 200 nops, a look whenever 12 are pending


def slices_between_looks(kernel, target, seconds, count):
    """How many slices, each busy for `seconds`, run between two looks at I/O; one number per look.

    Who sleeps for no time at all is woken by the next look, and so counts them.
    """
    between = []
    since = 0

    def work():
        nonlocal since
        while len(between) < count:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            since += 1
            ringmill.yield_now()

    def look():
        nonlocal since
        while len(between) < count:
            ringmill.sleep(0)
            between.append(since)
            since = 0

    def main():
        with ringmill.scope() as s:
            s.spawn(work)
            s.spawn(work)
            s.spawn(look)

    with ringmill.Machine(kernel=kernel, balance=Adaptive(target)) as machine:
        machine.run(main)
        assert machine.stats()["max_switches_between_io"] <= BOUND_MAX
    return between[count // 2:]  # learnt by then


@pytest.mark.req("U12")
def test_adaptive_follows_the_cost_of_a_slice(kernel):
    """The dearer the slices, the fewer between two looks. Generous: the processor is shared."""
    cheap = slices_between_looks(kernel, 0.01, 0, 20)
    dear = slices_between_looks(kernel, 0.01, 0.0005, 8)   # 20 make up the target
    dearest = slices_between_looks(kernel, 0.001, 0.003, 8)  # each is three times the target
    assert max(cheap) > 200
    # A slice may seem dearer than it is, when others take the processor; never cheaper.
    assert max(dear) <= 40
    assert max(dearest) <= 3


@pytest.mark.req("U12")
def test_adaptive_notices_when_slices_become_dear(kernel):
    """From one moment to the next: at most 64 run before the clock is looked at again."""
    dear_between_looks = []
    seconds = 0.0
    since = 0

    def work():
        nonlocal since
        while len(dear_between_looks) < 5:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            since += 1
            ringmill.yield_now()

    def look():
        nonlocal since, seconds
        for _ in range(10):
            ringmill.sleep(0)
        seconds = 0.001
        while len(dear_between_looks) < 5:
            since = 0
            ringmill.sleep(0)
            dear_between_looks.append(since)

    def main():
        with ringmill.scope() as s:
            s.spawn(work)
            s.spawn(look)

    with ringmill.Machine(kernel=kernel, balance=Adaptive(0.002)) as machine:
        machine.run(main)
    assert dear_between_looks[0] <= 64
    assert max(dear_between_looks[1:]) <= 8


@pytest.mark.req("U7", "U8")
def test_both_make_progress(kernel):
    """Many runnable fibers and much I/O: neither waits for the end of the other."""
    rounds = 200
    with ringmill.Machine(kernel=kernel, balance=Fixed(64)) as machine:
        yields = [0] * 50
        reads = [0] * 20
        halfway = {}

        def spin(n):
            while min(reads) < rounds:
                yields[n] += 1
                ringmill.yield_now()

        def talk(n):
            reader, writer = os.pipe()
            for _ in range(rounds):
                ringmill.write(writer, b"x")
                ringmill.read(reader, 1)
                reads[n] += 1
                if sum(reads) == rounds * len(reads) // 2:
                    halfway["yields"] = sum(yields)
            os.close(reader)
            os.close(writer)

        def main():
            with ringmill.scope() as s:
                for n in range(50):
                    s.spawn(spin, n)
                for n in range(20):
                    s.spawn(talk, n)

        machine.run(main)
        assert min(reads) == rounds
        assert min(yields) > 0 and halfway["yields"] > 0
        # Each ran about as often as the others: no fiber is left behind.
        assert max(yields) - min(yields) <= max(2, max(yields) // 10)
        assert machine.stats()["max_switches_between_io"] <= 64


@pytest.mark.req("U8")
def test_much_io_does_not_starve_a_fiber(kernel, pipe):
    """Thousands of completions at once are taken in pieces of 256; who is runnable runs between."""
    reader, writer = pipe
    count, reap_max = 3000, 256
    with ringmill.Machine(kernel=kernel, balance=Fixed(BOUND_MAX)) as machine:
        order = []

        talked = 0

        def talk():
            nonlocal talked
            ringmill.read(reader, 1)
            order.append("i")
            talked += 1

        def spin():
            while talked < count:
                order.append(" ")
                ringmill.yield_now()

        def main():
            with ringmill.scope() as s:
                for _ in range(count):
                    s.spawn(talk)
                while machine.stats()["ops_live"] < count:
                    ringmill.sleep(0)
                s.spawn(spin)
                ringmill.yield_now()
                os.write(writer, bytes(count))

        machine.run(main)
    text = "".join(order)
    assert text.count("i") == count
    assert max(map(len, text.split())) <= reap_max


@pytest.mark.req("U8", "U11")
@pytest.mark.parametrize("policy", [Fixed(1), Fixed(64), Relative(), Relative(1.0, 0.01),
                                    Adaptive()], ids=str)
@pytest.mark.parametrize("entries", [8, 256])
def test_io_in_plenty_does_not_starve_a_fiber(kernel, entries, policy):
    """Three hundred who never do but I/O, and one who only gives way: it runs after every look."""
    with ringmill.Machine(kernel=kernel, entries=entries, balance=policy) as machine:
        begun = completed = early = turns = 0
        talkers, goal = 300, 20_000

        def going():
            return completed < goal and early < 10 * goal

        def talk():
            nonlocal begun, completed, early
            begun += 1
            while going():
                ringmill.nop()
                if begun == talkers:
                    completed += 1
                else:
                    early += 1  # not counted: others have not begun yet

        def spin():
            nonlocal turns
            while going():
                turns += completed > 0
                ringmill.yield_now()

        def main():
            with ringmill.scope() as s:
                for _ in range(talkers):
                    s.spawn(talk)
                s.spawn(spin)

        machine.run(main)
    # A look takes in 256 at most. Four looks to a turn are generous.
    assert turns >= goal // (4 * 256)


@pytest.mark.req("U8")
def test_a_poll_of_a_ready_descriptor_completes_in_the_midst(kernel, pipe):
    """The reader is served while others never wait, at the latest after the bound, every time."""
    reader, writer = pipe
    with ringmill.Machine(kernel=kernel, balance=Fixed(10)) as machine:
        counts = []
        stop = []

        def spin():
            while not stop:
                counts[-1:] = [counts[-1] + 1] if counts else []
                ringmill.yield_now()

        def main():
            spinner = ringmill.spawn(spin)
            os.write(writer, b"x")
            for _ in range(20):
                counts.append(0)
                ringmill.poll(reader, select.POLLIN)
            stop.append(1)
            spinner.join()

        machine.run(main)
        # Submitted at one look and seen at the next.
        assert max(counts) <= 3 * 10


@pytest.mark.parametrize("make", [
    lambda: Fixed(0), lambda: Fixed(-1), lambda: Fixed(BOUND_MAX + 1),
    lambda: Relative(-0.1), lambda: Relative(1.1), lambda: Relative(0.5, 0),
    lambda: Relative(0.5, 1.5), lambda: Relative(0.5, -1), lambda: Relative(least=0),
    lambda: Relative(least=BOUND_MAX + 1), lambda: Relative(float("nan")),
    lambda: Relative(0.5, float("nan")),
    lambda: Adaptive(0), lambda: Adaptive(-1), lambda: Adaptive(2), lambda: Adaptive(1e-7),
    lambda: Adaptive(float("nan")), lambda: Adaptive(float("inf")),
])
def test_bad_parameters(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("make", [lambda: Fixed("1"), lambda: Fixed(None), lambda: Adaptive("x"),
                                  lambda: Relative("x"), lambda: Fixed()])
def test_parameters_of_the_wrong_type(make):
    with pytest.raises(TypeError):
        make()


def test_policies_tell_what_they_are():
    assert repr(Fixed(8)) == "Fixed(8)"
    assert repr(Relative(0.25, 0.5, least=4)) == "Relative(0.25, 0.5, least=4)"
    assert repr(Adaptive(0.001)) == "Adaptive(target_s=0.001)"
    assert Fixed(8).n == 8 and Relative().least == 16 and Adaptive().target_s == 0.0005


def test_one_policy_serves_several_machines(kernel):
    """A policy that learns learns for each machine on its own or for all; it never breaks."""
    policy = Adaptive()
    for _ in range(3):
        with ringmill.Machine(kernel=kernel, balance=policy) as machine:
            assert machine.balance is policy
            machine.run(lambda: [ringmill.yield_now() for _ in range(500)])
