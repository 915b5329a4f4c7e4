#!/usr/bin/env python3
"""The companion's tasks: `python run.py TASK`, on Linux, macOS and Windows; `make TASK` calls the same.

Without a task it lists those there are. Only the standard library is needed; the rest goes to .venv.

This file is the door alone, and every Python since 2.7 can read it: one that is too old shall say so in one
line, not in a syntax error. The tasks are in tools/tasks.py.
"""

import sys

MINIMUM = (3, 11)


def too_old(version, executable):
    """The one line for a Python below MINIMUM, or None."""
    if tuple(version) >= MINIMUM:
        return None
    wanted, found = [".".join(str(part) for part in parts) for parts in (MINIMUM, version)]
    return (
        "Python %s or newer is needed; %s is Python %s. Name a newer one: make lab PYTHON=python%s, "
        "or python%s run.py lab" % (wanted, executable, found, wanted, wanted)
    )


if __name__ == "__main__":
    complaint = too_old(sys.version_info[:3], sys.executable)
    if complaint:
        sys.exit(complaint)
    from tools.tasks import main

    sys.exit(main(sys.argv[1:]))
