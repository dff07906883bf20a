"""Harmed files by the thousand: each becomes a whole result or one sentence, in time, and nothing is left behind.

    python benchmarks/mutations.py [--cases 10000] [--seed 1] [--corpus FOLDER] [--only NAME]

Every case is a good file (videos of many containers and codecs, odd streams, pictures, checkpoints, recipes,
configurations, the folder of an unfinished run) with one to eight harms, used in a process of its own with 60 seconds
and 3 GiB. Inputs that found a bug are kept in the corpus, and tried first the next time.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from good_files import seeds
from mutation import Verdict, harm, judge, warm_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path("mutations"))
    parser.add_argument("--only", default="", help="of the good files, those whose name contains this")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    arguments = parser.parse_args()
    warm_up()
    chance = random.Random(arguments.seed)
    tally: collections.Counter[str] = collections.Counter()
    begun, slowest = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory() as name:
        good = {seed.name: seed for seed in seeds(Path(name) / "good") if arguments.only in seed.name}

        def attempt(seed_name: str, content: bytes, what: str) -> Verdict:
            nonlocal slowest
            start = time.monotonic()
            verdict = judge(good[seed_name], content, Path(name) / "case")
            slowest = max(slowest, time.monotonic() - start)
            tally[verdict.kind] += 1
            if verdict.is_bug:
                print(f"--- {seed_name}: {what}: {verdict.kind}\n{verdict.words}", flush=True)
            return verdict

        for path in sorted(arguments.corpus.glob("*")) if arguments.corpus.is_dir() else ():
            seed_name = path.name.split("~", 1)[1]
            if seed_name in good:
                attempt(seed_name, path.read_bytes(), f"again, {path}")
        for seed in good.values():
            attempt(seed.name, seed.content, "unharmed")
        for number in range(arguments.cases):
            if time.monotonic() - begun > arguments.minutes * 60:
                break
            seed = chance.choice(list(good.values()))
            content, what = harm(seed.content, chance)
            if attempt(seed.name, content, what).is_bug:
                arguments.corpus.mkdir(exist_ok=True)
                (arguments.corpus / f"{arguments.seed}-{number}~{seed.name}").write_bytes(content)
            if number % 500 == 499:
                print(f"{number + 1} cases, {time.monotonic() - begun:.0f} s: {dict(tally)}", flush=True)
    print(f"{sum(tally.values())} cases in {time.monotonic() - begun:.0f} s: {dict(tally)}; slowest {slowest:.1f} s")
    sys.exit(any(kind not in ("done", "refused") for kind in tally))


if __name__ == "__main__":
    main()
