"""The command line keeps Python's cyclic garbage collector from scanning objects that stay."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import atexit, gc, weakref
usual = gc.get_threshold()
atexit.register(lambda: print("at the end", len(gc.get_objects()) < 100))  # runs after what is registered later
from streamdehaze.cli import collector
collector.rest()
print("while starting", gc.get_threshold()[0] > 10 * usual[0])
collector.resume()
print("at work", gc.get_threshold() == usual and gc.get_freeze_count() > 1000)
class Knot:
    pass
knot = Knot()
knot.self = knot
seen = weakref.ref(knot)
del knot
gc.collect()
print("garbage", seen() is None)
"""


def test_the_collector_skips_what_was_imported_and_finds_new_garbage() -> None:
    result = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=300)
    assert result.stdout.splitlines() == ["while starting True", "at work True", "garbage True", "at the end True"]


def test_a_program_that_imports_the_library_keeps_its_own_setting() -> None:
    program = (
        "import gc; a = gc.get_threshold(); import streamdehaze; streamdehaze.Dehazer; print(a == gc.get_threshold())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert result.stdout.strip() == "True"
