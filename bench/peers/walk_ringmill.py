"""What an entry costs with ringmill's walk, walked over and over.  FACE FOLDER SECONDS"""

import contextlib
import sys

import ringmill
from lap import lap, report

face, folder, seconds = sys.argv[1:]


def fiber(count: int) -> None:
    with lap:
        while count > 0:
            with ringmill.walk(folder) as entries:
                for _ in entries:
                    count -= 1
                    if count == 0:
                        break


async def task(count: int) -> None:
    with lap:
        while count > 0:
            async with contextlib.aclosing(ringmill.aio.walk(folder)) as entries:
                async for _ in entries:
                    count -= 1
                    if count == 0:
                        break


report(fiber if face == "fiber" else lambda count: ringmill.run(task(count)), float(seconds))
