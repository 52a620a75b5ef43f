"""The ends of pipes: whatever way one reads, nothing is lost, doubled or invented."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ringmill
from ringmill import ClosedError, IncompleteRead
from ringmill.processes.pipes import Text
from support import faces

pytestmark = pytest.mark.usefixtures("machine")


def reader_of(on: faces.Play, text: str | None = None) -> tuple[Any, int]:
    """A reader and the descriptor that feeds it."""
    fd, writer = os.pipe()
    return on.PipeReader(fd, Text(text, "strict") if text else None), writer


def writer_of(on: faces.Play, text: str | None = None) -> tuple[Any, int]:
    reader, fd = os.pipe()
    return on.PipeWriter(fd, Text(text, "strict") if text else None), reader


def test_lines(face: str) -> None:
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        os.write(writer, b"one\ntwo\n\nlast")
        os.close(writer)
        async with on.within(reader):
            assert await on(reader.readline()) == b"one\n"
            assert [line async for line in on.each(reader)] == [b"two\n", b"\n", b"last"]
            assert await on(reader.readline()) == await on(reader.read(5)) == b""
            assert await on(reader.read()) == b""

    faces.play(face, program)


def test_a_line_longer_than_a_pipe(face: str) -> None:
    """Millions of bytes without an end: its pieces are put together once."""
    line = b"x" * (3 << 20) + b"\n"

    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["cat"], stdin=-1, stdout=-1)) as process:
            async def feed() -> None:
                await on(process.stdin.write_all(line + b"end"))
                process.stdin.close()

            def call_feed() -> None:
                process.stdin.write_all(line + b"end")
                process.stdin.close()

            ringmill.spawn(call_feed if face == "fiber" else feed())
            assert await on(process.stdout.readline()) == line
            assert await on(process.stdout.read()) == b"end"

    faces.play(face, program)


def test_text_is_decoded_across_pieces(face: str) -> None:
    """A character and a CRLF that arrive in two halves."""
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on, "utf-8")
        async with on.within(reader):
            os.write(writer, b"gr\xc3")
            assert await on(reader.read(10)) == "gr"
            os.write(writer, b"\xbc\xc3\x9f\r")
            assert await on(reader.read(10)) == "\u00fc\u00df"
            os.write(writer, b"\nnext\rlast")
            assert await on(reader.readline()) == "\n"
            assert await on(reader.readline()) == "next\n"
            os.close(writer)
            assert await on(reader.read()) == "last"

    faces.play(face, program)


def test_exactly(face: str) -> None:
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        async with on.within(reader):
            os.write(writer, b"123456789")
            assert await on(reader.read_exactly(0)) == b""
            assert await on(reader.read_exactly(4)) == b"1234"
            os.close(writer)
            with pytest.raises(IncompleteRead) as caught:
                await on(reader.read_exactly(6))
            assert (caught.value.partial, caught.value.expected) == (b"56789", 6)

    faces.play(face, program)


@pytest.mark.parametrize("verb, arguments", [
    ("read", (0,)), ("read", (-1,)), ("read_exactly", (-1,)), ("readline", (0,))])
def test_numbers_that_mean_nothing(face: str, verb: str, arguments: tuple[int]) -> None:
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        os.close(writer)
        async with on.within(reader):
            with pytest.raises(ValueError, match="not -?[01]"):
                await on(getattr(reader, verb)(*arguments))

    faces.play(face, program)


STEPS = st.lists(st.one_of(
    st.tuples(st.just("read"), st.integers(1, 30)),
    st.tuples(st.just("read_exactly"), st.integers(0, 30)),
    st.tuples(st.just("readline"), st.none() | st.integers(1, 20)),
    st.tuples(st.just("cancelled"), st.sampled_from(["read", "read_exactly", "readline"])),
), max_size=30)


@settings(max_examples=40)
@given(data=st.binary(max_size=300).map(lambda data: data.replace(b"a", b"\n")), steps=STEPS,
       seed=st.integers(0, 1000), text=st.booleans())
def test_any_way_of_reading(data: bytes, steps: list[Any], seed: int, text: bool) -> None:
    """In pieces of any size, with reads that are cancelled in between: the sum is what was
    written."""
    async def main() -> None:
        reader, writer = reader_of(faces.Play("aio"), "latin-1" if text else None)
        chance = random.Random(seed)
        rest = data
        got: list[Any] = []
        async with reader:
            for verb, argument in steps:
                if rest and chance.random() < 0.7:
                    size = chance.randrange(1, 40)
                    os.write(writer, rest[:size])
                    rest = rest[size:]
                try:
                    async with ringmill.timeout(0):
                        if verb == "cancelled":
                            size = () if argument == "readline" else (500,)
                            got.append(await getattr(reader, argument)(*size))
                        else:
                            got.append(await getattr(reader, verb)(argument))
                            if verb == "readline" and argument is not None:
                                assert len(got[-1]) <= argument
                except TimeoutError:
                    pass
            os.write(writer, rest)
            os.close(writer)
            got.append(await reader.read())
        whole = ("" if text else b"").join(got)
        expected = data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
        assert whole == (expected if text else data)

    ringmill.run(main())


def test_one_reader_at_a_time(face: str) -> None:
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        async with on.within(reader):
            waiting = ringmill.spawn(reader.read if face == "fiber" else reader.read())
            await ringmill.aio.yield_now()
            with pytest.raises(RuntimeError, match="reading from this pipe"):
                await on(reader.readline())
            os.write(writer, b"mine")
            os.close(writer)
            assert await waiting == b"mine"

    faces.play(face, program)


def test_closed_while_somebody_reads(face: str) -> None:
    """He is told so, which is no cancel; and the descriptor's number is free at once after that."""
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        waiting = ringmill.spawn(reader.read if face == "fiber" else reader.read())
        await ringmill.aio.sleep(0.002)
        reader.close()
        reader.close()
        assert reader.closed
        with pytest.raises(ClosedError, match="meanwhile"):
            await waiting
        with pytest.raises(ClosedError):
            await on(reader.read(1))
        with pytest.raises(ClosedError):
            reader.fileno()
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
        os.close(writer)

    faces.play(face, program)


def test_cancelled_and_closed_at_once(face: str) -> None:
    """The cancel was for the reader itself: it is not lost."""
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        waiting = ringmill.spawn(reader.read if face == "fiber" else reader.read())
        await ringmill.aio.sleep(0.002)
        waiting.cancel()
        reader.close()
        with pytest.raises(ringmill.Cancelled):
            await waiting
        os.close(writer)

    faces.play(face, program)


def test_writing(face: str) -> None:
    async def program(on: faces.Play) -> None:
        writer, reader = writer_of(on)
        async with on.within(writer):
            assert await on(writer.write(b"some")) == 4
            await on(writer.write_all(memoryview(b" bytes")))
            assert os.read(reader, 100) == b"some bytes"
            with pytest.raises(TypeError):
                await on(writer.write_all("text"))
            os.close(reader)
            with pytest.raises(BrokenPipeError):
                await on(writer.write_all(b"nobody reads"))
        assert writer.closed

    faces.play(face, program)


def test_writing_text(face: str) -> None:
    async def program(on: faces.Play) -> None:
        writer, reader = writer_of(on, "latin-1")
        async with on.within(writer):
            await on(writer.write_all("gr\u00fc\u00df\n"))
            assert os.read(reader, 100) == b"gr\xfc\xdf\n"
            with pytest.raises(TypeError, match="str, not bytes"):
                await on(writer.write_all(b"bytes"))
            with pytest.raises(TypeError, match="write_all"):
                await on(writer.write("text"))
            with pytest.raises(UnicodeEncodeError):
                await on(writer.write_all("\u20ac"))
        os.close(reader)

    faces.play(face, program)


def test_closed_while_somebody_writes(face: str) -> None:
    async def program(on: faces.Play) -> None:
        writer, reader = writer_of(on)
        data = bytes(1 << 20)
        waiting = ringmill.spawn(writer.write_all, data) if face == "fiber" else ringmill.spawn(
            writer.write_all(data))
        await ringmill.aio.sleep(0.002)
        with pytest.raises(RuntimeError, match="writing to this pipe"):
            await on(writer.write(b"x"))
        writer.close()
        with pytest.raises(ClosedError):
            await waiting
        os.close(reader)

    faces.play(face, program)


def test_a_dropped_one_warns(face: str) -> None:
    async def program(on: faces.Play) -> None:
        reader, writer = reader_of(on)
        os.close(writer)
        with pytest.warns(ResourceWarning, match="not closed"):
            del reader

    faces.play(face, program)
