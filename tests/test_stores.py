"""Films in object stores: read from and written to them, on a real S3 server if moto is installed."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clips import Clip
from streamdehaze import Dehazer, dehaze_video
from streamdehaze.cli import main
from streamdehaze.errors import ConfigError, MissingPackageError, SinkError, SourceError
from streamdehaze.meter.pictures import pictures
from streamdehaze.pipeline.inputs import plan_jobs
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.sharing import staging
from streamdehaze.pipeline.sharing.segments import join
from streamdehaze.pipeline.sharing.staging import Staging
from streamdehaze.video import is_finished, unfinished_work
from test_apart import contents
from waiting import wait_until

pytest.importorskip("openvino")
fsspec = pytest.importorskip("fsspec")

RUN = RunOptions(segment_seconds=0.8)  # segments of 20 frames
OPTIONS = ["--engine", "openvino", "--network-size", "32", "--segment-seconds", "0.8"]


def dehazer() -> Dehazer:
    return Dehazer(engine="openvino", network_size=32, steady="low", every="auto", look_ahead=True, engine_wait=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(pts=[512 * n for n in range(50)], options={"g": "12", "bf": "2"}, audio="aac", still=True)
    return clip.write(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def clear(film: Path) -> Path:
    """The result without any store."""
    return Path(dehaze_video(film, dehazer=dehazer(), run=RUN).output)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(staging, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def memory(film: Path, cache: Path) -> Iterator[Any]:
    """A store in this process, with the film in it."""
    store = fsspec.filesystem("memory")
    store.put_file(str(film), "memory://films/film.mp4")
    yield store
    store.rm("memory://films", recursive=True)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(server: str, film: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The S3 server's store, with the film in it."""
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "hidden"), ("ENDPOINT_URL", server)):
        monkeypatch.setenv(f"AWS_{name}", value)
    store = fsspec.filesystem("s3", use_listings_cache=False)
    store.mkdir("films")
    store.put_file(str(film), "films/film.mp4")
    yield store
    store.rm("films", recursive=True)


def fetched(store: Any, address: str, folder: Path) -> Path:
    store.get_file(address, str(folder / "fetched.mp4"))
    return folder / "fetched.mp4"


def streamdehaze(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_a_film_of_a_store_becomes_one_in_it(memory: Any, clear: Path, cache: Path, tmp_path: Path) -> None:
    report = dehaze_video("memory://films/film.mp4", dehazer=dehazer(), run=RUN)
    assert (report.input, report.output) == ("memory://films/film.mp4", "memory://films/film.clear.mp4")
    assert fetched(memory, report.output, tmp_path).read_bytes() == clear.read_bytes()
    assert not list(cache.iterdir())
    with pytest.raises(SinkError, match=r"'memory://films/film.clear.mp4' exists already"):
        dehaze_video("memory://films/film.mp4", dehazer=dehazer(), run=RUN)


def test_workers_share_a_store_instead_of_a_folder(memory: Any, clear: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as two:
        report = dehaze_video("memory://films/film.mp4", dehazer=dehazer(), run=RUN, executor=two)
    assert report.statistics.encode.frames == 50
    times = [pts for pts, _ in contents(clear)[0]]
    assert [pts for pts, _ in contents(fetched(memory, report.output, tmp_path))[0]] == times
    assert sorted(memory.find("memory://films")) == ["/films/film.clear.mp4", "/films/film.mp4"]


def test_an_interrupted_film_is_continued(memory: Any, clear: Path, tmp_path: Path) -> None:
    target = "memory://films/clear.mp4"
    near = Staging(None, target).target
    seen = []

    def break_off(hazy: object, clear: object) -> None:
        seen.append(hazy)
        if len(seen) == 45:
            wait_until(lambda: unfinished_work(near) is not None, "a segment is finished")
            raise SourceError(f"'{near}' broke off")

    with pytest.raises(SourceError, match=f"'{target}' broke off"):
        dehaze_video("memory://films/film.mp4", target, dehazer=dehazer(), run=RUN, on_frame=break_off)
    assert not memory.exists(target)
    report = dehaze_video("memory://films/film.mp4", target, dehazer=dehazer(), run=RUN)
    assert report.statistics.earlier_frames in (20, 40)
    assert fetched(memory, target, tmp_path).read_bytes() == clear.read_bytes()


def test_a_changed_input_is_fetched_again(memory: Any, film: Path, cache: Path) -> None:
    with Staging("memory://films/film.mp4", keep=True) as ends:
        first = Path(ends.source)
    memory.pipe_file("memory://films/film.mp4", b"another")
    with Staging("memory://films/film.mp4") as ends:
        assert Path(ends.source).read_bytes() == b"another"
        assert first.read_bytes() == film.read_bytes()


def test_leftovers_are_removed_after_a_day_except_finished_segments(memory: Any, cache: Path) -> None:
    for name in ("input/1/film.mp4", "clear.mp4.part/00000.packets", "clear.mp4.part/plan.json"):
        for folder in ("old", "kept", "new"):
            if (folder, name[-7:]) != ("old", "packets"):
                path = cache / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    long_ago = time.time() - 90_000
    for path in (*cache.glob("old/**/*"), *cache.glob("kept/**/*"), cache / "old", cache / "kept"):
        os.utime(path, (long_ago, long_ago))
    with Staging("memory://films/film.mp4", keep=True) as ends:
        assert Path(ends.source).exists()
    assert not (cache / "old").exists()
    assert [path.name for path in (cache / "kept").iterdir()] == ["clear.mp4.part"]
    assert (cache / "new" / "input").exists()


def test_results_are_named_in_the_store(memory: Any) -> None:
    memory.pipe_file("memory://films/more/shot.mov", b"x")
    memory.pipe_file("memory://films/film.clear.mp4", b"x")
    (near,) = plan_jobs(["memory://films/film.mp4"])
    assert near.output == "memory://films/film.clear.mp4"
    found = plan_jobs(["memory://films/"], "memory://out/", recursive=True)
    assert [job.output for job in found] == ["memory://out/film.clear.mp4", "memory://out/more/shot.clear.mov"]
    (shot,) = plan_jobs(["memory://films/more/*.mov"], "memory://out/{stem}/{name}")
    assert shot.output == "memory://out/shot/shot.mov"
    (here,) = plan_jobs(["memory://films/film.mp4"], "here.mp4")
    assert here.output == "here.mp4"


def test_the_meter_reads_a_store(memory: Any, film: Path, cache: Path) -> None:
    (address,) = [f"memory:/{name}" for name in memory.glob("memory://films/*.mp4")]
    code, output = streamdehaze("meter", "memory://films/", "--every", "25", "--engine", "openvino", "--json", "-")
    assert code == 0, output
    assert f'"{address}"' in output
    found = [picture.input for picture in pictures((address,), every=25)]
    assert found == [address, address]
    assert not list(cache.iterdir())


def test_an_array_job_on_s3(s3: Any, clear: Path, tmp_path: Path) -> None:
    run = ["run", "s3://films/film.mp4", "-o", "s3://films/clear.mp4", *OPTIONS]
    for share in ("2/2", "1/2", "1/2"):
        code, output = streamdehaze(*run, "--segment", share)
        assert code == 0, output
        assert "streamdehaze join s3://films/clear.mp4.part" in output
    s3.rm_file("films/clear.mp4.part/00001.packets")
    code, output = streamdehaze("join", "s3://films/clear.mp4.part")
    assert (code, s3.exists("films/clear.mp4")) == (1, False)
    assert "1 of 3 segments is missing in 's3://films/clear.mp4.part': 2" in output.replace("\n", " ")
    assert streamdehaze(*run, "--segment", "2/2")[0] == 0
    code, output = streamdehaze("join", "s3://films/clear.mp4.part")
    assert code == 0, output
    assert [pts for pts, _ in contents(fetched(s3, "films/clear.mp4", tmp_path))[0]] == [
        pts for pts, _ in contents(clear)[0]
    ]
    assert sorted(s3.find("films")) == ["films/clear.mp4", "films/film.mp4"]


def test_a_film_that_could_not_be_uploaded_is_uploaded_later(s3: Any, server: str, clear: Path, tmp_path: Path) -> None:
    def allow(requests: int) -> None:
        plain = {"Content-Type": "text/plain"}
        address = f"{server}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(address, str(requests).encode(), plain)).close()

    target = "s3://films/clear.mp4"
    try:
        with pytest.raises(SinkError, match=f"'{target}' may not be written: ") as raised:
            dehaze_video(
                "s3://films/film.mp4", target, dehazer=dehazer(), run=RUN, on_frame=lambda hazy, clear: allow(0)
            )
    finally:
        allow(1 << 40)
    assert "hidden" not in str(raised.value)
    report = dehaze_video("s3://films/film.mp4", target, dehazer=dehazer(), run=RUN)
    assert report.statistics.earlier_frames == 50
    assert fetched(s3, "films/clear.mp4", tmp_path).read_bytes() == clear.read_bytes()


def test_what_a_store_refuses_is_reported_in_one_sentence(s3: Any, film: Path) -> None:
    with pytest.raises(SourceError, match=r"^'s3://films/none.mp4' does not exist$"):
        dehaze_video("s3://films/none.mp4")
    with pytest.raises(SinkError, match=r"^'s3://none/clear.mp4' cannot be written: there is no such bucket$"):
        dehaze_video(film, "s3://none/clear.mp4")
    with pytest.raises(ConfigError, match=r"^'s3://films/clear.mp4' has a login in it"):
        dehaze_video(film, "s3://user:hidden@films/clear.mp4")
    with pytest.raises(SourceError, match="image sequence"):
        dehaze_video("s3://films/%05d.png", "out.mp4")
    with pytest.raises(SinkError, match=r"^'s3://films/none.mp4.part' is not a folder of segments"):
        join("s3://films/none.mp4.part")


def test_a_store_whose_package_is_missing_is_named_with_it(monkeypatch: pytest.MonkeyPatch, film: Path) -> None:
    monkeypatch.setitem(staging._PACKAGES, "az", "no_such_package")
    with pytest.raises(MissingPackageError, match=r"az:// needs no_such_package: .*pip install no_such_package"):
        dehaze_video(film, "az://films/clear.mp4")
    assert not is_finished("az://films/clear.mp4")
