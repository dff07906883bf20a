"""Damage to good files, and what a separate process makes of each: a result or one sentence, and nothing else.

Used by `test_mutations.py` (a few hundred cases) and by `benchmarks/mutations.py` (as many as there is time for).
"""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doubles import EngineDouble, plain_dehazer
from good_files import Seed

SECONDS = 60.0
"""A case that takes longer hangs."""
MEMORY_BYTES = 3 << 30
"""Address space that a case may take in addition to what its process starts with."""

_BUG = re.compile(r"^(decode|dehaze|encode) failed: ")
"""How the pipeline words an unexpected exception."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a case."""

    kind: str
    """"done", "refused", or a bug: "raised", "hung", "crashed", "left files"."""
    words: str = ""

    @property
    def is_bug(self) -> bool:
        return self.kind not in ("done", "refused")


# --- how it is harmed -------------------------------------------------------------------------------------------------


def harm(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A damaged copy, and a description of the damage, most of which is in the first and last kilobytes."""
    data = bytearray(content)
    done = []
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        name, change = chance.choice(list(_HARMS.items()))
        if data:
            place = _place(len(data), chance)
            change(data, place, chance)
            done.append(f"{name} at {place}")
    return bytes(data), ", ".join(done)


def _place(size: int, chance: random.Random) -> int:
    near = chance.randrange(min(size, 2048))
    return chance.choice([near, size - 1 - near, chance.randrange(size)])


def _flip(data: bytearray, place: int, chance: random.Random) -> None:
    data[place] ^= 1 << chance.randrange(8)


def _set(data: bytearray, place: int, chance: random.Random) -> None:
    value = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    length = chance.choice([1, 2, 4, 8, 64])
    data[place : place + length] = bytes([value]) * len(data[place : place + length])


def _noise(data: bytearray, place: int, chance: random.Random) -> None:
    length = chance.choice([4, 32, 512])
    data[place : place + length] = chance.randbytes(len(data[place : place + length]))


def _cut_off(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place:]


def _remove(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place : place + chance.choice([1, 4, 188, 1000])]


def _repeat(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = data[place : place + chance.choice([1, 4, 188, 1000])]


def _insert(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = chance.randbytes(chance.choice([1, 4, 188]))


def _move(data: bytearray, place: int, chance: random.Random) -> None:
    piece = data[place : place + chance.choice([4, 188, 1000])]
    del data[place : place + len(piece)]
    other = chance.randrange(len(data) + 1)
    data[other:other] = piece


def _swap_number(data: bytearray, place: int, chance: random.Random) -> None:
    """A 32-bit number becomes one of those that overflow."""
    value = chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00010000, 0x0FFFFFFF])
    data[place : place + 4] = value.to_bytes(4, chance.choice(["big", "little"]))[: len(data[place : place + 4])]


_TOKEN = re.compile(rb'-?[\d.]+|"[^"\n]*"|true|false|null')
_ODD_TOKENS = (
    b"-1", b"0", b"1e999", b"-0.0", b"99999999999999999999", b"nan", b"null", b"true", b"[]", b"{}", b'""',
    b'"../../x"', b'"\\u0000"', b'"\xff"', b'"' + b"9" * 5000 + b'"', b"[" * 3000 + b"]" * 3000,
)  # fmt: skip


def _swap_token(data: bytearray, place: int, chance: random.Random) -> None:
    """A word, number or string of a text becomes another; in anything but text a bit is flipped."""
    tokens = [match.span() for match in _TOKEN.finditer(data)] if len(data) < 10_000 and 0 not in data else []
    if not tokens:
        _flip(data, place, chance)
        return
    first, last = chance.choice(tokens)
    other = chance.choice(tokens)
    data[first:last] = chance.choice([*_ODD_TOKENS, bytes(data[slice(*other)])])


_HARMS: dict[str, Callable[[bytearray, int, random.Random], None]] = {
    "bit flipped": _flip, "bytes set": _set, "noise": _noise, "cut off": _cut_off, "removed": _remove,
    "repeated": _repeat, "inserted": _insert, "moved": _move, "number replaced": _swap_number,
    "word swapped": _swap_token,
}  # fmt: skip


# --- what becomes of it -----------------------------------------------------------------------------------------------


def judge(seed: Seed, content: bytes, folder: Path) -> Verdict:
    """Use a damaged copy in a separate process, with limits of time and memory; `folder` is empty afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / seed.name.rpartition(" ")[2]
    path.write_bytes(content)
    said = folder / "said"
    child = os.fork()
    if child == 0:
        _be_the_child(seed, path, said)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.005)
    else:
        os.kill(child, signal.SIGABRT)
        time.sleep(0.5)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Verdict("hung", _text(said))
    text = _text(said)
    kind, _, words = text.partition("\n")
    if kind not in ("done", "refused", "raised"):
        return Verdict("crashed", text)
    left = sorted(entry.name for entry in folder.iterdir() if entry not in (path, said))
    if kind == "refused" and (_BUG.match(words) or any(not line.startswith("  ") for line in words.splitlines()[1:])):
        return Verdict("raised", words)
    if kind == "refused" and any(not name.endswith(".part") for name in left):
        return Verdict("left files", f"{left} after: {words}")
    shutil.rmtree(folder, ignore_errors=True)
    return Verdict(kind, words)


def _text(said: Path) -> str:
    return said.read_text(errors="replace").strip() if said.exists() else "(nothing)"


def _be_the_child(seed: Seed, path: Path, said: Path) -> None:
    import faulthandler

    from streamdehaze.errors import StreamDehazeError

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    faulthandler.enable(open(said, "a"))  # noqa: SIM115 (to the end of the process)
    import logging

    import torch

    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)  # those of the parent's pool did not come along; waiting for them would never end
    with open("/proc/self/statm") as statm:
        born_with = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (born_with + MEMORY_BYTES,) * 2)
    try:
        seed.attempt(path)
        verdict = "done\n"
    except StreamDehazeError as error:
        cause = "".join(traceback.format_exception(error.__cause__)) if _BUG.match(str(error)) else ""
        verdict = f"refused\n{error}\n{cause}".strip()
    except BaseException:
        verdict = f"raised\n{traceback.format_exc()}"
    os.write(out, verdict.encode(errors="replace"))
    os._exit(0)


def warm_up() -> None:
    """Import and compile what every case needs, so that its process starts with it."""
    import torch  # noqa: F401
    from PIL import Image

    import streamdehaze.pipeline
    import streamdehaze.training.config  # noqa: F401

    dehazer = plain_dehazer(engine=EngineDouble(), network_size=32)
    for dtype in (np.uint8, np.uint16):
        for shape in ((32, 48), (32, 48, 3), (32, 48, 4)):
            dehazer(np.zeros(shape, dtype))
    Image.init()
