"""A Ray cluster of two nodes makes the same film as one process, whatever happens to a node."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clips import Clip
from streamdehaze import Dehazer, dehaze_video
from streamdehaze.errors import SinkError, StreamDehazeError
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.sharing.ray import RayExecutor
from streamdehaze.video import part_folder
from waiting import wait_until

ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
pytest.importorskip("openvino")

RUN = RunOptions(segment_seconds=0.8)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def dehazer() -> Dehazer:
    return Dehazer(engine="openvino", network_size=32, steady="low", every="auto", look_ahead=True)


def test_a_node_killed_meanwhile_costs_a_segment_and_not_one_bit(cluster: Any, tmp_path: Path) -> None:
    film = Clip(pts=[512 * n for n in range(110)], options={"g": "12"}).write(tmp_path / "film.mp4")
    truth, target = tmp_path / "truth.mp4", tmp_path / "clear.mp4"
    with ThreadPoolExecutor(1) as one:
        dehaze_video(film, truth, dehazer=dehazer(), executor=one, run=RUN)
    second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)

    def kill() -> None:
        wait_until(lambda: any(part_folder(target).glob("*.record")), "a segment")
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    handler = signal.getsignal(signal.SIGTERM)
    with RayExecutor(cluster.address) as executor:
        assert signal.getsignal(signal.SIGTERM) == handler
        killer.start()
        dehaze_video(film, target, dehazer=dehazer(), executor=executor, run=RUN)
    killer.join()
    assert target.read_bytes() == truth.read_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no process to a core")
def test_tasks_on_one_machine_keep_to_cores_of_their_own(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        pytest.skip("this machine has one core")
    program = (
        "import os, sys\n"
        "from streamdehaze.pipeline.sharing.ray import keep_to_cores\n"
        f"os.sched_setaffinity(0, {cores})\n"
        "keep_to_cores(1)\n"
        "print(sorted(os.sched_getaffinity(0)), flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    tasks, kept = list[subprocess.Popen[str]](), list[str]()
    for _ in range(3):
        command = [sys.executable, "-c", program]
        pipe = subprocess.PIPE
        tasks.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment))
        output = tasks[-1].stdout
        assert output is not None
        kept.append(output.readline().strip())
    for task in tasks:
        task.communicate("")
    assert kept == [f"[{cores[0]}]", f"[{cores[1]}]", f"{cores}"]


def test_a_node_that_cannot_make_a_segment_is_named(cluster: Any, tmp_path: Path) -> None:
    def fail(job: object) -> Any:
        raise SinkError("the folder is not writable")

    with RayExecutor(cluster.address) as executor:
        done = executor.submit(fail, None)  # type: ignore[arg-type]
        with pytest.raises(SinkError, match=f"on the machine {socket.gethostname()}: the folder is not writable"):
            done.result()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "there is no Ray cluster at '127.0.0.1:1': Connection refused"),
        (
            "http://127.0.0.1/",
            "'http://127.0.0.1/' is not the address of a Ray cluster; write auto, local, host:6379, or ray://host:10001",
        ),
    ],
)
def test_an_address_without_a_cluster_is_reported_in_one_sentence(address: str, said: str) -> None:
    with pytest.raises(StreamDehazeError, match=f"^{said}$"):
        RayExecutor(address)
