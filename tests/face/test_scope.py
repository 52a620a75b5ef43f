"""Scopes: children end before the block does, and all errors travel together. In both faces."""

from __future__ import annotations

import os

import pytest

import ringmill
from ringmill import Cancelled, aio
from support import programs


class Boom(Exception):
    pass


class Bang(Exception):
    pass


async def after(seconds, error=None, log=None, name=None):
    """Sleep, then raise or return; log how it ended."""
    try:
        await aio.sleep(seconds)
        if error is not None:
            raise error
    except Cancelled:
        if log is not None:
            log.append(f"{name} cancelled")
        raise
    if log is not None:
        log.append(f"{name} ended")
    return name


def child(face, *arguments, **keywords):
    """Something to spawn: a coroutine object, or a function that drives one."""
    if face == "aio":
        return (after(*arguments, **keywords),)
    return (lambda: ringmill.drive(after(*arguments, **keywords)),)


def run(face, main):
    """`main` takes nothing and is async; in the fiber face it is driven by a fiber."""
    return ringmill.run(main() if face == "aio" else lambda: ringmill.drive(main()))


def test_children_end_before_the_block(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as s:
            for n in range(3):
                s.spawn(*child(face, 0.001 * n, log=log, name=n))
            log.append("body")
        log.append("after")

    run(face, main)
    assert log == ["body", "0 ended", "1 ended", "2 ended", "after"]


def test_the_plain_form(machine):
    """Without async: in a fiber, and in a plain script."""
    def block():
        log = []
        with ringmill.scope() as s:
            fiber = s.spawn(lambda: (ringmill.sleep(0.001), log.append("child"))[1])
            log.append("body")
        assert fiber.done
        return log

    assert block() == ["body", "child"]
    assert ringmill.spawn(block).join() == ["body", "child"]


def test_an_empty_scope(machine, face):
    async def main():
        async with ringmill.scope() as s:
            pass
        assert not s.cancelled
        return "over"

    assert run(face, main) == "over"


def test_the_first_error_cancels_the_others(machine, face):
    log = []
    error = Boom("first")

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 3600, log=log, name="long"))
            s.spawn(*child(face, 0.001, error))
            await aio.sleep(3600)
            log.append("never")

    with pytest.raises(ExceptionGroup) as caught:
        run(face, main)
    assert caught.value.exceptions == (error,)
    assert log == ["long cancelled"]


def test_all_errors_travel_together(machine, face):
    async def fails_while_cancelled():
        try:
            await aio.sleep(3600)
        except Cancelled:
            raise Bang("second") from None

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 0, Boom("first")))
            s.spawn(fails_while_cancelled())
            s.spawn(fails_while_cancelled())

    with pytest.raises(ExceptionGroup) as caught:
        run(face, main)
    assert sorted(type(e).__name__ for e in caught.value.exceptions) == ["Bang", "Bang", "Boom"]


def test_the_bodys_error_cancels_the_children_and_is_raised_itself(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 3600, log=log, name="child"))
            await aio.sleep(0.001)
            raise Boom("body")

    with pytest.raises(Boom, match="body"):
        run(face, main)
    assert log == ["child cancelled"]


def test_the_bodys_error_and_a_childs(machine, face):
    async def fails_while_cancelled():
        try:
            await aio.sleep(3600)
        except Cancelled:
            raise Bang("child") from None

    async def main():
        async with ringmill.scope() as s:
            s.spawn(fails_while_cancelled())
            await aio.sleep(0.001)
            raise Boom("body")

    with pytest.raises(ExceptionGroup) as caught:
        run(face, main)
    assert {type(e) for e in caught.value.exceptions} == {Boom, Bang}


def test_nested_scopes(machine, face):
    """An error inside the inner one ends the inner one; the outer one hears it from the body."""
    log = []

    async def main():
        async with ringmill.scope() as outer:
            outer.spawn(*child(face, 0.01, log=log, name="outer"))
            try:
                async with ringmill.scope() as inner:
                    inner.spawn(*child(face, 3600, log=log, name="inner"))
                    inner.spawn(*child(face, 0, Boom()))
            except* Boom:
                log.append("caught")
        log.append("end")

    run(face, main)
    assert log == ["inner cancelled", "caught", "outer ended", "end"]


def test_an_outer_error_goes_through_inner_scopes(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as outer:
            outer.spawn(*child(face, 0.001, Boom()))
            async with ringmill.scope() as middle:
                middle.spawn(*child(face, 3600, log=log, name="middle"))
                async with ringmill.scope() as inner:
                    inner.spawn(*child(face, 3600, log=log, name="inner"))

    with pytest.raises(ExceptionGroup) as caught:
        run(face, main)
    assert [type(e) for e in caught.value.exceptions] == [Boom]
    assert log == ["inner cancelled", "middle cancelled"]


def test_cancel_ends_the_block_quietly(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 3600, log=log, name="child"))
            await aio.sleep(0.001)
            s.cancel()
            assert s.cancelled
            await aio.sleep(3600)
            log.append("never")
        log.append("quiet")
        await aio.nop()  # no stray cancel
        return "fine"

    assert run(face, main) == "fine"
    assert log == ["child cancelled", "quiet"]


def test_cancel_as_the_last_thing_in_the_block(machine, face):
    """The request was never raised: it is taken back, and strikes nobody afterwards."""
    async def main():
        for _ in range(100):
            async with ringmill.scope() as s:
                s.spawn(*child(face, 3600))
                s.cancel()
            await aio.nop()
            await aio.sleep(0)
            async with ringmill.scope() as s:
                s.cancel()
            await aio.nop()
        return "fine"

    assert run(face, main) == "fine"


def test_a_child_cancels_the_scope(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as s:
            async def stop():
                await aio.sleep(0.001)
                s.cancel()
                log.append("asked")

            s.spawn(*child(face, 3600, log=log, name="child"))
            s.spawn(stop())
            await aio.sleep(3600)
        return "quiet"

    assert run(face, main) == "quiet"
    assert log == ["asked", "child cancelled"]


def test_children_spawn_children(machine, face):
    """Into the same scope, also while the block waits for its end."""
    log = []

    async def main():
        async with ringmill.scope() as s:
            async def grow(n):
                await aio.sleep(0.0002)
                log.append(n)
                if n:
                    s.spawn(grow(n - 1))

            s.spawn(grow(20))
        return len(log)

    assert run(face, main) == 21
    assert log == list(range(20, -1, -1))


def test_a_child_of_a_cancelled_scope_is_cancelled(machine, face):
    log = []

    async def main():
        async with ringmill.scope() as s:
            s.cancel()
            s.spawn(*child(face, 3600, log=log, name="late"))
        return "quiet"

    assert run(face, main) == "quiet"
    assert log in ([], ["late cancelled"])


def test_a_scope_that_is_over_takes_no_more(machine, face):
    async def main():
        async with ringmill.scope() as s:
            pass
        coroutine = after(0)
        with pytest.raises(RuntimeError, match="not open"):
            s.spawn(coroutine)
        coroutine.close()
        with pytest.raises(RuntimeError, match="once"):
            async with s:
                pass
        with pytest.raises(RuntimeError):
            ringmill.scope().spawn(lambda: 1)

    run(face, main)


def test_cancelled_from_outside_while_it_waits(machine, face):
    """The children are cancelled, the block waits for them, then Cancelled goes on."""
    log = []

    async def host():
        try:
            async with ringmill.scope() as s:
                s.spawn(*child(face, 3600, log=log, name="child"))
        finally:
            log.append("host")

    async def main():
        strand = ringmill.spawn(host() if face == "aio" else lambda: ringmill.drive(host()))
        await aio.sleep(0.001)
        strand.cancel()
        with pytest.raises(Cancelled):
            await strand
        return "over"

    assert run(face, main) == "over"
    assert log == ["child cancelled", "host"]


def test_cancelled_from_outside_in_the_body(machine, face):
    log = []

    async def host():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 3600, log=log, name="child"))
            await aio.sleep(3600)

    async def main():
        strand = ringmill.spawn(host() if face == "aio" else lambda: ringmill.drive(host()))
        await aio.sleep(0.001)
        strand.cancel()
        with pytest.raises(Cancelled):
            await strand

    run(face, main)
    assert log == ["child cancelled"]


def test_a_child_that_was_cancelled_alone_is_no_error(machine, face):
    async def main():
        async with ringmill.scope() as s:
            strand = s.spawn(*child(face, 3600))
            other = s.spawn(*child(face, 0.001, name="other"))
            await aio.sleep(0)
            strand.cancel()
        return await other

    assert run(face, main) == "other"


def test_children_may_be_joined_inside_and_after(machine, face):
    async def main():
        async with ringmill.scope() as s:
            first = s.spawn(*child(face, 0, name="first"))
            assert await first == "first"
            second = s.spawn(*child(face, 0.001, name="second"))
        return await second

    assert run(face, main) == "second"


def test_a_childs_error_that_was_joined_and_caught_still_ends_the_scope(machine, face):
    """A scope answers for its children; who wants to catch does so inside the child."""
    async def main():
        async with ringmill.scope() as s:
            strand = s.spawn(*child(face, 0, Boom()))
            with pytest.raises((Boom, Cancelled)):
                await strand

    with pytest.raises(ExceptionGroup):
        run(face, main)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_and_exit_of_a_child(machine, face, error):
    """They are not wrapped away: the program ends with them, after the children."""
    log = []

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 3600, log=log, name="child"))
            s.spawn(*child(face, 0.001, error()))

    with pytest.raises(error):
        run(face, main)
    assert log == ["child cancelled"]


@pytest.mark.parametrize("main", ["main()", "ringmill.run(main)", "ringmill.run(amain())"])
def test_exit_of_a_child_is_the_programs_exit_code(kernel, main):
    """Silently, as in any program."""
    ended = programs.run(f"""
        import sys
        import ringmill

        def main():
            with ringmill.scope() as s:
                s.spawn(sys.exit, 3)
                ringmill.sleep(3600)

        async def amain():
            async with ringmill.scope() as s:
                s.spawn(sys.exit, 3)
                await ringmill.aio.sleep(3600)

        {main}
    """, kernel=kernel)
    assert (ended.code, ended.out, ended.err) == (3, "", "")


@pytest.mark.parametrize("first", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_then_a_timeout_while_it_waits(machine, face, first):
    """What came first is raised; the request that came while the children ended adds nothing."""
    raised = first(3)

    async def stubborn(time):
        try:
            await aio.sleep(3600)
        except Cancelled:
            time.reschedule(0)
            await aio.sleep(0.001)

    async def ends():
        await aio.sleep(0.001)
        raise raised

    async def main():
        ringmill.spawn(ends())
        async with ringmill.timeout(3600) as time, ringmill.scope() as s:
            s.spawn(stubborn(time) if face == "aio" else lambda: ringmill.drive(stubborn(time)))

    with pytest.raises(first) as caught:
        run(face, main)
    assert caught.value is raised


def test_a_cancel_from_before_is_not_the_scopes_own(machine, face):
    """Asked before the block and raised inside, where the scope has cancelled itself as well."""
    reader, writer = os.pipe()

    async def main():
        op = aio.read(reader, 1)  # made before: a fresh one would have been cancelled at once
        await aio.sleep(0)
        ringmill.current().cancel()
        async with ringmill.scope() as s:
            s.cancel()
            await op

    with pytest.raises(Cancelled):
        run(face, main)
    os.close(reader)
    os.close(writer)


def test_errors_are_not_reported_twice(machine, face, monkeypatch):
    import gc

    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    async def main():
        async with ringmill.scope() as s:
            s.spawn(*child(face, 0, Boom()))

    with pytest.raises(ExceptionGroup):
        run(face, main)
    gc.collect()
    assert reported == []


def test_many_children(machine, face):
    done = []

    async def main():
        async with ringmill.scope() as s:
            for n in range(5000):
                s.spawn(*child(face, 0, log=done, name=n))

    run(face, main)
    assert len(done) == 5000


def test_io_of_children_is_over_when_the_block_is(machine, face):
    reader, writer = os.pipe()

    async def main():
        async with ringmill.scope() as s:
            async def reads():
                return await aio.read(reader, 10)
            s.spawn(reads() if face == "aio" else lambda: ringmill.read(reader, 10))
            await aio.sleep(0.001)
            s.cancel()
        assert machine.stats()["ops_live"] == 0
        await aio.write(writer, b"nobody read this")

    run(face, main)
    assert os.read(reader, 100) == b"nobody read this"
    os.close(reader)
    os.close(writer)
