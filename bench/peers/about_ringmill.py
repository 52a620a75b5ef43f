"""Tell which kernel ringmill's machine runs on and what it found there, as one line of JSON."""

import json
import os

import ringmill

machine = ringmill.Machine()
# Flags are bits, and so are opcodes and behaviours: hexadecimal reads best.
found = {name: hex(bits) for name, bits in machine.facts().items()}
chosen = {name: value for name, value in os.environ.items() if name.startswith("RINGMILL_")}
print(
    json.dumps(
        {
            "kernel": machine.kernel.name,
            "why": machine.kernel.why,
            "found": found,
            "environment": chosen,
        }
    )
)
machine.close()
