"""What 10,000 cameras and a petabyte of archive take, by arithmetic and in a simulation with nodes that fail.

    pip install simpy
    python benchmarks/scale.py [--cores 1000] [--store 5 10 20 40] [--cameras 10000] [--headroom 0.15]

The archive is a petabyte of 720p in segments of a minute; the cores read them from one store of `--store` Gbit/s and
write them there. The cameras are 1080p on nodes of 16 cores, shared out evenly; each node fails about once a month, its
cameras move to the others after 10 seconds and back when it has started again.
Frames a second are those of README's "Speed", measured on two cores; nothing else here is measured.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy

FPS, BITS = 25, 4e6
"""Of a camera's stream, and of what is written."""
ARCHIVE_FPS, CAMERA_FPS = 108 / 2, 66 / 2
"""That one core clears: 720p, 1080p."""
SEGMENT_SECONDS, WARM_UP = 60, 1.04
"""Of each segment two more seconds are decoded and dehazed."""
NODE_CORES = 16
FAILS_EACH, REPAIR, TAKE_OVER = 30 * 86400.0, 600.0, 10.0
"""Seconds between two failures of a node, until it is back, and until its cameras are served elsewhere."""
PETABYTE_BITS, SHARE = 8e15, 1000
"""The simulation takes one part in so many of it."""
EURO_CORE_HOUR = 0.04

Steps = Iterator[Any]


@dataclass
class Archive:
    """Segments that are left, and how long cores waited for the store."""

    left: int
    waited: float = 0.0


def transfer(env: simpy.Environment, store: simpy.Resource, archive: Archive) -> Steps:
    """A segment through one of the store's channels of 1 Gbit/s."""
    asked = env.now
    with store.request() as channel:
        yield channel
        archive.waited += env.now - asked
        yield env.timeout(SEGMENT_SECONDS * BITS / 1e9)


def core(env: simpy.Environment, store: simpy.Resource, archive: Archive) -> Steps:
    """One core: segment after segment, read, made clear and written."""
    while archive.left:
        archive.left -= 1
        yield from transfer(env, store, archive)
        yield env.timeout(SEGMENT_SECONDS * WARM_UP * FPS / ARCHIVE_FPS)
        yield from transfer(env, store, archive)


def simulate_archive(cores: int, stores: list[int]) -> None:
    """Print how long a petabyte takes."""
    seconds = PETABYTE_BITS / BITS
    alone = seconds * WARM_UP * FPS / ARCHIVE_FPS
    ideal = alone / cores
    print(f"1 PB at {BITS / 1e6:g} Mbit/s: {seconds / 3600:,.0f} hours of 720p, {alone / 3600:,.0f} core hours")
    print(
        f"  {alone / 3600 * EURO_CORE_HOUR:,.0f} euros; "
        f"{cores} cores ({cores / NODE_CORES:.0f} nodes): {ideal / 86400:.1f} days"
    )
    print(f"  read and written: {2 * PETABYTE_BITS / ideal / 1e9:.1f} Gbit/s in the mean")
    failures = cores / NODE_CORES * ideal / FAILS_EACH
    print(
        f"  {failures:.0f} nodes fail on the way: {failures * NODE_CORES:.0f} of "
        f"{seconds / SEGMENT_SECONDS:,.0f} segments are made twice"
    )
    for gigabits in stores:
        env, archive = simpy.Environment(), Archive(round(seconds / SEGMENT_SECONDS / SHARE))
        store = simpy.Resource(env, gigabits)
        for _ in range(cores):
            env.process(core(env, store, archive))
        env.run()
        print(
            f"  store of {gigabits} Gbit/s: {env.now / (ideal / SHARE):.2f} times as long, "
            f"cores wait {archive.waited / env.now / cores:.0%}"
        )


@dataclass
class Fleet:
    """Nodes that serve cameras."""

    up: int
    cameras: int
    capacity: float
    lost: float = 0.0
    crowded: float = 0.0
    since: float = 0.0

    def pass_time(self, now: float) -> None:
        """Count the time since the last change."""
        if self.cameras > self.up * self.capacity:
            self.crowded += now - self.since
        self.since = now


def node(env: simpy.Environment, fleet: Fleet, nodes: int, chance: random.Random) -> Steps:
    """A node that fails and comes back; its cameras are dark until others have taken them."""
    while True:
        yield env.timeout(chance.expovariate(1 / FAILS_EACH))
        fleet.pass_time(env.now)
        fleet.up -= 1
        fleet.lost += TAKE_OVER * fleet.cameras / nodes
        yield env.timeout(REPAIR)
        fleet.pass_time(env.now)
        fleet.up += 1


def simulate_cameras(cameras: int, headroom: float) -> None:
    """Print what a year of cameras is like."""
    capacity = NODE_CORES * CAMERA_FPS / FPS
    nodes = -(-int(cameras * (1 + headroom)) // int(capacity))
    print(
        f"{cameras:,} cameras of 1080p: {cameras * FPS / CAMERA_FPS:,.0f} cores, "
        f"{nodes} nodes with {headroom:.0%} headroom"
    )
    print(
        f"  in {cameras * BITS / 1e9:.0f} Gbit/s, as much out; "
        f"{cameras / nodes * BITS / 1e6:.0f} Mbit/s a node each way"
    )
    print(
        f"  {nodes * NODE_CORES * EURO_CORE_HOUR * 8766 / 12:,.0f} euros a month; "
        f"at 5 frames a second a fifth of the cores"
    )
    env, chance, year = simpy.Environment(), random.Random(1), 365 * 86400.0
    fleet = Fleet(nodes, cameras, capacity)
    for _ in range(nodes):
        env.process(node(env, fleet, nodes, chance))
    env.run(until=year)
    fleet.pass_time(year)
    print(
        f"  a camera is dark for {fleet.lost / cameras:.0f} s a year by failing nodes "
        f"({1 - fleet.lost / cameras / year:.6%})"
    )
    print(f"  more cameras than the nodes that are up can serve: {fleet.crowded / year:.3%} of the year")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1000)
    parser.add_argument("--store", type=int, nargs="+", default=[5, 10, 20, 40], help="Gbit/s")
    parser.add_argument("--cameras", type=int, default=10000)
    parser.add_argument("--headroom", type=float, default=0.15)
    asked = parser.parse_args()
    simulate_archive(asked.cores, asked.store)
    simulate_cameras(asked.cameras, asked.headroom)


if __name__ == "__main__":
    main()
