"""A ringmill machine with the options of a command line: `spin=0`, `fixed=64`, `adaptive=`."""

import ringmill


def machine_from(options: list[str]) -> ringmill.Machine:
    """Without options: exactly what a user gets who asks for nothing."""
    chosen: dict[str, object] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name == "spin":
            chosen["spin"] = value != "0"
        elif name == "ops":
            chosen["ops_max"] = int(value)
        elif name == "fixed":
            chosen["balance"] = ringmill.Fixed(int(value))
        elif name == "relative":
            chosen["balance"] = ringmill.Relative()
        elif name == "adaptive":
            chosen["balance"] = ringmill.Adaptive()
        else:
            raise SystemExit(f"{option}: no option of a machine")
    return ringmill.Machine(**chosen)
