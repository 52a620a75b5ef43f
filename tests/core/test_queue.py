"""Full queues: a full SQ submits and goes on, a full CQ loses nothing, a full machine says so."""

from __future__ import annotations

import os

import pytest

import ringmill
from ringmill import aio

SMALLEST = 8      # SQEs; the CQ then has 64
MANY = 100_000    # ops queued in one slice: far more than any queue has places


@pytest.mark.req("U11")
@pytest.mark.parametrize("entries", [SMALLEST, 1024])
def test_a_full_queue_submits_and_goes_on(kernel, entries):
    """Pitfall 5: a hundred thousand ops in one slice, never an error."""

    async def main():
        ops = [aio.nop() for _ in range(MANY)]
        for op in ops:
            assert await op is None
        return len(ops)

    with ringmill.Machine(kernel=kernel, entries=entries) as machine:
        assert machine.run(main()) == MANY
        stats = machine.stats()
        assert stats["ops_live"] == 0
        assert stats["submitted"] >= MANY


@pytest.mark.req("U11")
def test_a_full_queue_in_fibers(kernel):
    def main():
        ops = [aio.nop() for _ in range(1000)]
        ringmill.nop()  # a call behind them, in the same queue
        return [ringmill.wait(op) for op in ops]

    with ringmill.Machine(kernel=kernel, entries=SMALLEST) as machine:
        assert machine.run(main) == [None] * 1000


def test_a_full_completion_queue_loses_nothing(kernel, pipe):
    """Thousands complete at once, many times what the CQ holds; each gets its own byte."""
    reader, writer = pipe
    count = 5000

    async def main():
        ops = [aio.read(reader, 1) for _ in range(count)]
        await aio.nop()
        assert not any(op.done for op in ops)
        sent = bytes(i % 251 for i in range(count))
        assert os.write(writer, sent) == count
        return sent, [await op for op in ops]

    with ringmill.Machine(kernel=kernel, entries=SMALLEST) as machine:
        sent, got = machine.run(main())
        assert sorted(got) == sorted(sent[i:i + 1] for i in range(count))
        assert machine.stats()["ops_live"] == 0


@pytest.mark.parametrize("entries", [SMALLEST, 64])
def test_cancels_have_room_in_a_full_queue(kernel, entries, pipe):
    """Pitfall 5, in the cancel path: every op is cancelled in one slice, each exactly once."""
    reader, _ = pipe

    async def main():
        ops = [aio.read(reader, 1) for _ in range(500)]
        await aio.nop()
        assert {op.state[0] for op in ops} == {"in flight"}
        # The queue is full of others when the cancels come.
        rest = [aio.nop() for _ in range(entries)]
        assert all(op.cancel() for op in ops)
        cancelled = 0
        for op in ops:
            try:
                await op
            except ringmill.Cancelled:
                cancelled += 1
        for op in rest:
            await op
        return cancelled

    with ringmill.Machine(kernel=kernel, entries=entries) as machine:
        assert machine.run(main()) == 500
        assert machine.stats()["ops_live"] == 0


def test_a_cancel_before_submission_means_it_never_happened(kernel, pipe):
    reader, writer = pipe

    async def main():
        ops = [aio.write(writer, b"x") for _ in range(5)]
        assert [op.state[0] for op in ops] == ["queued"] * 5
        for op in ops[1:4]:
            assert op.cancel()
        assert await ops[0] == 1 and await ops[4] == 1
        for op in ops[1:4]:
            with pytest.raises(ringmill.Cancelled):
                await op

    with ringmill.Machine(kernel=kernel) as machine:
        machine.run(main())
    assert os.read(reader, 100) == b"xx"


@pytest.mark.parametrize("face", ["fiber", "aio"])
def test_the_budget_is_a_typed_error_and_loses_nothing(kernel, face, pipe):
    reader, writer = pipe
    limit = 50

    async def main():
        ops = [aio.read(reader, 1) for _ in range(limit)]
        for _ in range(3):
            with pytest.raises(ringmill.WouldExceedBudget, match=f"ops_max: {limit}"):
                aio.read(reader, 1)
            with pytest.raises(ringmill.WouldExceedBudget):
                aio.write(writer, b"lost")
        assert ringmill.machine().stats()["ops_live"] == limit
        os.write(writer, b"y" * limit)
        assert [await op for op in ops] == [b"y"] * limit
        assert await aio.write(writer, b"again") == 5
        assert await aio.read(reader, 100) == b"again"

    with ringmill.Machine(kernel=kernel, ops_max=limit, on_full="raise") as machine:
        machine.run(main() if face == "aio" else lambda: ringmill.drive(main()))
        assert machine.stats()["ops_live"] == 0
        assert machine.stats()["views_held"] == 0


def test_the_budget_leaves_cancels_and_timers_alone(kernel, pipe):
    """What ends ops, and what takes none, works when no more can begin."""
    reader, _ = pipe

    async def main():
        ops = [aio.read(reader, 1) for _ in range(10)]
        await aio.sleep(0)
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.001):
                await aio.park()
        for op in ops:
            op.cancel()
        for op in ops:
            with pytest.raises(ringmill.Cancelled):
                await op

    with ringmill.Machine(kernel=kernel, ops_max=10) as machine:
        machine.run(main())


def test_slots_are_used_again_and_the_table_does_not_grow(kernel):
    with ringmill.Machine(kernel=kernel) as machine:
        first = machine.stats()["slots"]

        async def main():
            for _ in range(20):
                for op in [aio.nop() for _ in range(100)]:
                    await op

        machine.run(main())
        assert machine.stats()["slots"] == first


def test_multishot_with_the_smallest_queues(kernel, pipe):
    """Pitfall 6: when the kernel ends a multishot op (a full CQ), it is armed again."""
    reader, writer = pipe
    data = os.urandom(200_000)

    def send():
        ringmill.write_all(writer, data)

    def receive():
        got = bytearray()
        with ringmill.read_each(reader) as pieces:
            while len(got) < len(data):
                got += next(pieces)
                aio.nop().detach()
        return bytes(got)

    with ringmill.Machine(kernel=kernel, entries=SMALLEST) as machine:
        def main():
            with ringmill.scope() as s:
                s.spawn(send)
                result = s.spawn(receive)
            return result.join()

        assert machine.run(main) == data
