"""Tell which kernel ringmill's machine runs on and with which flags, as one line of JSON."""

import json
import os

import ringmill

machine = ringmill.Machine()
kernel = machine.kernel
facts = {
    "kernel": kernel.name,
    "why": str(kernel.why),
    # Whatever else the kernel tells of itself, e.g. the flags of its setup.
    **{
        name: getattr(kernel, name)
        for name in ("setup_flags", "features", "flags", "behaviours")
        if isinstance(getattr(kernel, name, None), int | str | list | tuple)
    },
    "environment": {k: v for k, v in os.environ.items() if k.startswith("RINGMILL_")},
}
machine.close()
print(json.dumps(facts))
