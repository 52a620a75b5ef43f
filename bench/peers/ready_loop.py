"""What an empty `for` costs, as every figure beside this one has it in it.  SECONDS"""

import sys

from lap import lap, report


def main(count: int) -> None:
    items = [None] * 512
    for _ in range(count // 512):
        with lap:
            for item in items:
                item  # noqa: B018


report(main, float(sys.argv[1]))
