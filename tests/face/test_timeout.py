"""`with timeout(seconds)`: nested, rescheduled, raced by the result; and never too late.

Pitfall 3: a timeout raised after its block has ended, in an unrelated call; or the next op
returning early. A request that was not raised inside the block is taken back at its end.
"""

from __future__ import annotations

import os
import random
import time

import pytest

import ringmill
from ringmill import Cancelled, aio

FAR = 3600


def run(face, main):
    """`main` takes nothing and is async; in the fiber face it is driven by a fiber."""
    return ringmill.run(main() if face == "aio" else lambda: ringmill.drive(main()))


def test_the_block_took_longer(machine, face, pipe):
    async def main():
        for wait in (lambda: aio.sleep(FAR), lambda: aio.read(pipe[0], 1), aio.park):
            with pytest.raises(TimeoutError, match="longer than 0.001 s"):
                async with ringmill.timeout(0.001) as t:
                    await wait()
            assert t.expired
        await aio.nop()

    run(face, main)
    assert machine.stats()["timers"] == 0


def test_the_plain_form(machine, pipe):
    """In a plain script, and in a fiber, without async."""
    def block():
        with pytest.raises(TimeoutError):
            with ringmill.timeout(0.001):
                ringmill.read(pipe[0], 1)
        with ringmill.timeout(FAR) as t:
            ringmill.nop()
        assert not t.expired
        return "over"

    assert block() == "over"
    assert ringmill.spawn(block).join() == "over"


def test_the_block_was_quick(machine, face):
    async def main():
        async with ringmill.timeout(FAR) as t:
            await aio.nop()
        assert not t.expired
        await aio.nop()

    run(face, main)
    assert machine.stats()["timers"] == 0


@pytest.mark.parametrize("seconds", [0, -1, -1e300])
def test_no_time_at_all(machine, face, seconds):
    """Passed already: the first wait that does not complete raises."""
    async def main():
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(seconds):
                await aio.sleep(FAR)
        async with ringmill.timeout(seconds):
            pass  # nobody waited
        await aio.nop()

    run(face, main)


def test_none_never_passes(machine, face):
    async def main():
        async with ringmill.timeout(None) as t:
            await aio.sleep(0.002)
        assert not t.expired

    run(face, main)
    assert machine.stats()["timers"] == 0


def test_an_error_of_the_block_goes_through(machine, face):
    async def main():
        with pytest.raises(LookupError):
            async with ringmill.timeout(FAR):
                raise LookupError
        with pytest.raises(LookupError):
            async with ringmill.timeout(0.001):
                try:
                    await aio.sleep(FAR)
                finally:
                    raise LookupError
        await aio.nop()

    run(face, main)


def test_the_inner_one_first(machine, face):
    async def main():
        async with ringmill.timeout(FAR) as outer:
            with pytest.raises(TimeoutError):
                async with ringmill.timeout(0.001) as inner:
                    await aio.sleep(FAR)
            await aio.nop()
        return inner.expired, outer.expired

    assert run(face, main) == (True, False)


def test_the_outer_one_first(machine, face):
    async def main():
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.001) as outer:
                async with ringmill.timeout(FAR) as inner:
                    await aio.sleep(FAR)
        await aio.nop()
        return inner.expired, outer.expired

    assert run(face, main) == (False, True)


def test_both_at_once(machine, face):
    """Due at the same look: the inner one is answered by its block, the outer one still counts."""
    async def main():
        seen = []
        try:
            async with ringmill.timeout(0.001):
                try:
                    async with ringmill.timeout(0.001):
                        time.sleep(0.005)  # both are due at the next look
                        await aio.sleep(FAR)
                except TimeoutError:
                    seen.append("inner")
                    raise
        except TimeoutError:
            seen.append("outer")
        await aio.nop()
        await aio.sleep(0)
        return seen

    # The inner block cannot tell whose request the one Cancelled was: the outer one's wins.
    assert run(face, main) in (["inner", "outer"], ["outer"])


def test_the_outer_one_while_the_inner_is_handled(machine, face):
    """After the inner TimeoutError the outer block goes on waiting, until its own time is up."""
    async def main():
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.005):
                try:
                    async with ringmill.timeout(0.001):
                        await aio.sleep(FAR)
                except TimeoutError:
                    await aio.sleep(FAR)
        await aio.nop()

    run(face, main)


def test_three_deep(machine, face):
    async def main():
        which = None
        try:
            async with ringmill.timeout(FAR):
                try:
                    async with ringmill.timeout(0.001):
                        async with ringmill.timeout(FAR):
                            await aio.sleep(FAR)
                except TimeoutError:
                    which = "middle"
                await aio.nop()
        except TimeoutError:
            which = "outer"
        return which

    assert run(face, main) == "middle"


def test_a_cancel_from_outside_is_not_a_timeout(machine, face):
    async def host():
        async with ringmill.timeout(FAR):
            await aio.sleep(FAR)

    async def main():
        strand = ringmill.spawn(host() if face == "aio" else lambda: ringmill.drive(host()))
        await aio.sleep(0.001)
        strand.cancel()
        with pytest.raises(Cancelled):
            await strand

    run(face, main)


def test_a_cancel_and_a_timeout_at_once_is_a_cancel(machine, face):
    """Whoever asked from outside is not to be answered with a TimeoutError."""
    async def host():
        async with ringmill.timeout(0.001):
            await aio.sleep(FAR)

    async def main():
        strand = ringmill.spawn(host() if face == "aio" else lambda: ringmill.drive(host()))
        await aio.sleep(0)
        time.sleep(0.005)
        strand.cancel()
        with pytest.raises(Cancelled):
            await strand

    run(face, main)


def test_a_cancel_from_before_is_not_a_timeout(machine, face, pipe):
    """Asked before the block and raised inside, where the time is up as well."""
    async def main():
        op = aio.read(pipe[0], 1)  # made before: a fresh one would have been cancelled at once
        await aio.sleep(0)
        ringmill.current().cancel()
        async with ringmill.timeout(0):
            await op

    with pytest.raises(Cancelled):
        run(face, main)


def test_the_result_that_came_is_kept(machine, face, pipe):
    """Time is up and the data is there: the call returns it, the next one raises."""
    reader, writer = pipe

    async def main():
        got = []
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.05):  # long enough for the nop, on a busy machine
                op = aio.read(reader, 10)
                await aio.nop()
                os.write(writer, b"data")
                time.sleep(0.07)
                got.append(await op)
                await aio.sleep(FAR)
        return got

    assert run(face, main) == [b"data"]


def test_a_block_that_waits_for_nothing_after_its_time(machine, face):
    """It was not interrupted: there is nothing to raise; `expired` tells when it was noticed."""
    async def main():
        async with ringmill.timeout(0.0001):
            time.sleep(0.002)
        await aio.nop()
        await aio.sleep(0)
        return "over"

    assert run(face, main) == "over"


def test_swallowed_inside(machine, face):
    async def main():
        async with ringmill.timeout(0.001) as t:
            try:
                await aio.sleep(FAR)
            except Cancelled:
                pass
        assert t.expired
        await aio.nop()

    run(face, main)


def test_reschedule(machine, face):
    async def main():
        async with ringmill.timeout(0.001) as t:
            t.reschedule(FAR)
            await aio.sleep(0.003)
            t.reschedule(None)
            await aio.sleep(0.001)
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(None) as t:
                t.reschedule(0.001)
                await aio.sleep(FAR)
        with pytest.raises(RuntimeError, match="passed"):
            t.reschedule(1)
        with pytest.raises(ValueError):
            ringmill.timeout(1).reschedule(float("nan"))

    run(face, main)
    assert machine.stats()["timers"] == 0


def test_reschedule_after_the_block_arms_nothing(machine, face):
    """A timer that fired after its block would strike whatever is there then."""
    async def main():
        async with ringmill.timeout(FAR) as t:
            pass
        try:
            t.reschedule(0.001)
        except RuntimeError:
            pass
        await aio.sleep(0.005)
        await aio.nop()

    run(face, main)
    assert machine.stats()["timers"] == 0


def test_reschedule_with_what_is_no_span_changes_nothing(machine, face):
    async def main():
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.01) as t:
                with pytest.raises(ValueError):
                    t.reschedule(float("nan"))
                with pytest.raises(TypeError):
                    t.reschedule("soon")
                await aio.sleep(FAR)

    run(face, main)


def test_entered_once(machine, face):
    async def main():
        t = ringmill.timeout(1)
        async with t:
            pass
        with pytest.raises(RuntimeError, match="once"):
            async with t:
                pass

    run(face, main)


def test_around_a_scope(machine, face):
    log = []

    async def child():
        try:
            await aio.sleep(FAR)
        finally:
            log.append("child")

    async def main():
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.001):
                async with ringmill.scope() as s:
                    s.spawn(child())
                    s.spawn(child() if face == "aio" else lambda: ringmill.drive(child()))
        log.append("after")
        await aio.nop()

    run(face, main)
    assert log == ["child", "child", "after"]


def test_inside_a_scope(machine, face):
    async def child(seconds):
        async with ringmill.timeout(seconds):
            await aio.sleep(0.01)

    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with ringmill.scope() as s:
                s.spawn(child(FAR))
                s.spawn(child(0.001))
        assert [type(e) for e in caught.value.exceptions] == [TimeoutError]

    run(face, main)


def test_around_a_join(machine, face):
    """Who is joined goes on."""
    async def work():
        await aio.sleep(0.01)
        return "done"

    async def main():
        strand = ringmill.spawn(work() if face == "aio" else lambda: ringmill.drive(work()))
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.001):
                await strand
        assert not strand.done
        return await strand

    assert run(face, main) == "done"


def test_each_strand_has_its_own(machine, face):
    """A thousand at once, half of which expire; nobody is struck by another's."""
    async def work(n):
        try:
            async with ringmill.timeout(0.002 if n % 2 else FAR):
                await aio.sleep(FAR if n % 2 else 0.004)
        except TimeoutError:
            return "late"
        await aio.nop()
        return "fine"

    async def main():
        async with ringmill.scope() as s:
            strands = [s.spawn(work(n) if face == "aio" else lambda n=n: ringmill.drive(work(n)))
                       for n in range(1000)]
        return [await strand for strand in strands]

    assert run(face, main) == ["fine", "late"] * 500


RACES = 25_000  # × 2 kernels × 2 faces: a hundred thousand


@pytest.mark.req("U21")
def test_expiring_when_the_result_arrives(kernel, face):
    """Pitfall 3: 0 stray TimeoutErrors afterwards, 0 early returns, whatever came first.

    The timer is due at once, or after some of the yields; the block waits for a few yields and an
    op, and the unrelated code behind it must see neither an exception nor a wait cut short.
    """
    rng = random.Random(42)
    outcomes = {"late": 0, "in time": 0}

    async def main():
        for _ in range(RACES):
            try:
                async with ringmill.timeout(rng.choice((0, 1e-6, 3e-6, 1e-5, FAR))):
                    for _ in range(rng.randrange(3)):
                        await aio.yield_now()
                    await aio.nop()
                outcomes["in time"] += 1
            except TimeoutError:
                outcomes["late"] += 1
            # unrelated code: any exception here fails the test
            op = aio.nop()
            await op
            assert op.done

    # A look after every switch: timers expire between the yields, too.
    with ringmill.Machine(kernel=kernel, balance=ringmill.Fixed(1)) as machine:
        run(face, main)
        assert machine.stats()["timers"] == 0
    assert min(outcomes.values()) > 0


@pytest.mark.req("U21")
def test_expiring_when_the_data_arrives(machine, face, pipe):
    """The same with a read: every byte is received once, inside the block or behind it."""
    reader, writer = pipe
    rng = random.Random(43)
    received = bytearray()
    sent = bytearray()

    async def settle(op):
        """End an op whose wait was given up; what it brought counts."""
        op.cancel()
        try:
            received.extend(await op)
        except Cancelled:
            pass

    async def main():
        for n in range(2000):
            op, written = None, False
            try:
                async with ringmill.timeout(rng.choice((0, 1e-6, 1e-5, 5e-5))):
                    op = aio.read(reader, 1)
                    if rng.random() < 0.5:
                        await aio.yield_now()
                    sent.append(n % 256)
                    written = os.write(writer, sent[-1:]) == 1
                    received.extend(await op)
            except TimeoutError:
                if op is not None and op.state[1] != "taken":
                    await settle(op)
                if written and len(received) < len(sent):
                    received.extend(os.read(reader, 1))  # not taken: still there
            assert received == sent

    run(face, main)
    assert len(sent) > 0
