"""Run the suite as older kernels would see it, and once without io_uring.

`make test-kernels`; arguments go to pytest. RINGMILL_DISABLE masks what a kernel lacks; the mask is
not the kernel, but it finds whoever uses a feature without asking.
"""

from __future__ import annotations

import os
import subprocess
import sys

MASKS = (
    {"RINGMILL_DISABLE": "@5.10"},
    {"RINGMILL_DISABLE": "@6.1"},
    {"RINGMILL_DISABLE": "@6.12"},
    {"RINGMILL_DISABLE": "@6.17"},
    {"RINGMILL_KERNEL": "soft"},
)


def main(args: list[str]) -> int:
    failed = []
    for mask in MASKS:
        name = " ".join(f"{key}={value}" for key, value in mask.items())
        print(f"── {name}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", *args]
        if subprocess.run(command, env={**os.environ, **mask}).returncode:
            failed.append(name)
    print(f"failed with {', '.join(failed) or 'none'} of {len(MASKS)} masks")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
