"""Starting Python programs of our own so that the working directory is not searched for their modules.

Python looks there first: a `queue.py` or `numpy.py` in a folder of downloads would run as code in every child process.
"""

from __future__ import annotations

import os
import sys


def python_command(statement: str) -> list[str]:
    """A command that runs a statement in a Python like this one, with modules from where this one has them.

    The working directory is searched last, and only where this process searches it too, as a checkout may need.
    """
    here = os.getcwd()
    own = [entry for entry in sys.path if entry not in ("", ".", here)]
    last = [here] if here in sys.path else []
    # Nothing is imported before the path is set; `sys` is built in.
    program = f"import sys; sys.path[:] = {own + last!r}; {statement}"
    return [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-c", program]
