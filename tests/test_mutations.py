"""Whatever a file contains, the program ends in time with a complete result or one sentence, and leaves nothing behind.

A few hundred damaged files, always the same ones; `benchmarks/mutations.py` tries thousands.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from good_files import Seed, seeds
from mutation import harm, judge, warm_up

CASES = 240
SECONDS = 120
"""Cases left after this time are left to a less busy machine; on a quiet one none may be skipped."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of forked processes as Linux does")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    warm_up()
    return seeds(tmp_path_factory.mktemp("good"))


def test_good_files_are_processed(good: list[Seed], tmp_path: Path) -> None:
    """A file that only looks odd is not refused."""
    verdicts = {seed.name: judge(seed, seed.content, tmp_path / "case") for seed in good}
    wrong = {seed.name: verdicts[seed.name] for seed in good if verdicts[seed.name].kind != seed.verdict}
    assert wrong == {}


def test_damaged_files_are_processed_or_refused(good: list[Seed], tmp_path: Path) -> None:
    chance = random.Random(6)
    deadline = time.monotonic() + SECONDS
    bugs = []
    kinds = {"done": 0, "refused": 0}
    for number in range(CASES):
        seed = good[number % len(good)]
        content, what = harm(seed.content, chance)
        if time.monotonic() > deadline and min(kinds.values()) >= 5:
            break
        verdict = judge(seed, content, tmp_path / "case")
        if verdict.is_bug:
            bugs.append(f"{seed.name}: {what}: {verdict.kind}: {verdict.words}")
        else:
            kinds[verdict.kind] += 1
    assert bugs == []
    assert min(kinds.values()) >= 5  # neither all nor nothing is refused


@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 5000, b"RIFF", b"\x1aE\xdf\xa3" * 500])
def test_hardly_anything_is_refused(good: list[Seed], tmp_path: Path, content: bytes) -> None:
    seed = good[0]
    assert judge(seed, content, tmp_path / "case").kind == "refused"
