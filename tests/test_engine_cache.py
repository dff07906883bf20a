"""Built engines are cached, found again, never used after anything has changed, and built only once."""

from __future__ import annotations

import json
import locale
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from streamdehaze.cli import main
from streamdehaze.engine import EngineCache, Recipe, TorchEngine, open_engine
from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.cache import EngineRecord
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.errors import EngineError
from streamdehaze.fidelity import psnr
from streamdehaze.network import find_checkpoint, load_network

pytest.importorskip("openvino")
pytest.importorskip("onnx")

OPENVINO = Recipe(engine="openvino")
FLOOR = OPENVINO.floor_db  # where the CPU computes in bfloat16; float32 is held to 1e-5 below


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint and its verified engine."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(find_checkpoint("aecrnet-s"), folder / "mine.safetensors")
    build_engine(BuildRequest(str(folder / "mine.safetensors"), OPENVINO), EngineCache(folder / "engines"))
    return folder


@pytest.fixture
def cache(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    """That engine in a folder of the test's own, which the command line uses, too."""
    shutil.copytree(made / "engines", tmp_path / "engines")
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    return EngineCache(tmp_path / "engines")


def the_engine(cache: EngineCache) -> EngineRecord:
    (record,) = cache.records()
    return record


def request_for(made: Path) -> BuildRequest:
    return BuildRequest(str(made / "mine.safetensors"), OPENVINO)


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["engine", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_build_verified_itself_against_pytorch(cache: EngineCache) -> None:
    record = the_engine(cache)
    assert record.state == "verified"
    assert record.verification is not None
    assert record.verification.psnr_db is not None
    assert record.verification.psnr_db > FLOOR


def test_an_engine_is_verified_on_a_real_photo_too(cache: EngineCache, tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's photos")
    import cv2

    photo = data.astronaut().astype(np.float32) / 255
    cv2.imwrite(str(tmp_path / "hazy.png"), ((photo * 0.5 + 0.45) * 255).astype(np.uint8)[:, :, ::-1])
    code, said = command("verify", "--picture", str(tmp_path / "hazy.png"))
    assert code == 0, said
    again = the_engine(cache).verification
    assert again is not None
    assert again.psnr_db is not None
    assert again.psnr_db > FLOOR
    code, said = command("verify", "--picture", str(tmp_path / "gone.png"))
    assert code == 1
    assert "is missing or not a picture" in said


def test_a_kept_engine_opens_without_a_build_torch_or_tls(made: Path, cache: EngineCache) -> None:
    program = f"""
import sys
from streamdehaze.engine import open_engine
from streamdehaze.engine.build.picture import hazy_pictures
engine = open_engine({str(made / "mine.safetensors")!r}, "openvino")
engine.infer(hazy_pictures(2, 48, 64))
print(engine.name, *{{"torch", "ssl"}}.intersection(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("openvino cpu")
    assert len(done.stdout.split()) == 3


def test_a_build_needs_no_more_than_its_extra(made: Path, tmp_path: Path) -> None:
    # The extras `train` and `onnx` bring these; `openvino` and `torch` alone must be enough.
    program = f"""
import sys
for absent in ("torchvision", "onnxscript", "onnxruntime", "lightning", "scipy", "matplotlib"):
    sys.modules[absent] = None
from streamdehaze.cli import main
main(["engine", "build", "--engine", "openvino", "--checkpoint", {str(made / "mine.safetensors")!r}])
"""
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "verified: " in done.stdout


def test_an_engine_serves_every_batch_and_size_as_pytorch_does(made: Path, cache: EngineCache) -> None:
    engine, torch_engine = (
        open_engine(str(made / "mine.safetensors"), "openvino"),
        TorchEngine(load_network("aecrnet-s")),
    )
    for shape in [(4, 48, 64), (3, 48, 64), (1, 48, 64), (2, 72, 128), (1, 100, 36), (5, 64, 64), (1, 8, 8)]:
        hazy = hazy_pictures(*shape)
        clear = engine.infer(hazy)
        assert clear.dtype == np.float32
        assert psnr(clear, torch_engine.infer(hazy), peak=1.0) > FLOOR, shape
    engine.close()
    engine.close()


def test_float32_is_within_1e_5_of_pytorch(made: Path, cache: EngineCache) -> None:
    from streamdehaze.engine.openvino.backend import OpenVINOEngine

    hazy = hazy_pictures(3, 72, 128)
    wanted = TorchEngine(load_network("aecrnet-s"), precision="float32").infer(hazy)
    for mode in ("latency", "throughput"):
        engine = OpenVINOEngine(cache.path(the_engine(cache)), precision="float32", mode=mode, threads=2)
        np.testing.assert_allclose(engine.infer(hazy), wanted, atol=1e-5)


def test_engines_that_compile_at_the_same_time_leave_the_locale_alone(cache: EngineCache, tmp_path: Path) -> None:
    from streamdehaze.engine.openvino.backend import OpenVINOEngine

    engines = [
        OpenVINOEngine(cache.path(the_engine(cache)), precision="float32", threads=1, cache=tmp_path / name)
        for name in ("a", "b")
    ]
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    try:
        for side in (32, 48, 64):
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(lambda engine: engine.infer(hazy_pictures(1, side, 64)), engines))  # noqa: B023
            assert locale.setlocale(locale.LC_CTYPE) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def test_one_compiled_model_serves_batches_and_the_single_pictures_between_them(cache: EngineCache) -> None:
    from streamdehaze.engine.openvino.backend import OpenVINOEngine

    engine = OpenVINOEngine(cache.path(the_engine(cache)), precision="float32", threads=2)
    hazy = hazy_pictures(9, 48, 64)
    wanted = TorchEngine(load_network("aecrnet-s"), precision="float32").infer(hazy)
    for pictures in (slice(0, 4), slice(4, 8), slice(8, 9), slice(0, 9), slice(2, 3)):  # 9: more than requests
        np.testing.assert_allclose(engine.infer(hazy[pictures]), wanted[pictures], atol=1e-5)
    assert len(engine._compiled) == 1
    for _ in range(16):  # they are worth a model of their own by now
        np.testing.assert_allclose(engine.infer(hazy[:1]), wanted[:1], atol=1e-5)
    assert len(engine._compiled) == 2


@pytest.mark.parametrize("harm", ["altered", "truncated", "missing"])
def test_a_damaged_engine_is_never_used_again(cache: EngineCache, harm: str) -> None:
    record = the_engine(cache)
    path = cache.path(record)
    whole = path.read_bytes()
    if harm == "altered":
        path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    elif harm == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.unlink()
    assert not cache.intact(record)
    assert "will not be used: its file is missing or altered" in " ".join(command("list")[1].replace("│", "").split())
    assert cache.find(record.identity) is None
    assert not path.exists()
    code, said = command("list")
    assert code == 0
    assert record.file not in said


def test_what_openvino_compiled_is_reused_but_not_if_altered(cache: EngineCache, tmp_path: Path) -> None:
    from streamdehaze.engine.openvino.backend import OpenVINOEngine

    graph, kept, hazy = cache.path(the_engine(cache)), tmp_path / "kept", hazy_pictures(1, 48, 64)
    clear = OpenVINOEngine(graph, cache=kept).infer(hazy)
    (blob,) = kept.glob("*.blob")
    whole, first = blob.read_bytes(), blob.stat()
    assert np.array_equal(OpenVINOEngine(graph, cache=kept).infer(hazy), clear)
    assert blob.stat().st_mtime_ns == first.st_mtime_ns  # not compiled again
    middle = len(whole) // 2
    for harmed in (whole[:middle] + b"\xff" * 2000 + whole[middle + 2000 :], whole[:middle], b""):
        blob.write_bytes(harmed)
        assert np.array_equal(OpenVINOEngine(graph, cache=kept).infer(hazy), clear)
    assert blob.stat().st_size > middle


def test_a_replaced_checkpoint_makes_its_engine_stale(made: Path, cache: EngineCache, tmp_path: Path) -> None:
    record = the_engine(cache)
    mine = tmp_path / "mine.safetensors"
    shutil.copy(find_checkpoint("aecrnet-s"), mine)
    cache.write(record.model_copy(update={"checkpoint": str(mine)}))
    assert "up to date" in command("show", record.file)[1]
    shutil.copy(find_checkpoint("aecrnet-m"), mine)
    assert "changed since: checkpoint_sha256" in command("show", record.file)[1]
    code, said = command("verify")
    assert code == 1
    assert "build it again" in said
    assert "checkpoint_sha256" in command("prune", "--dry-run")[1]
    assert cache.intact(record)
    command("prune")
    assert cache.records() == []
    assert not cache.path(record).exists()


@pytest.mark.parametrize(
    "change", [{"runtime": "openvino 2025.0.0"}, {"deformable": "grid"}, {"graph": "0123456789abcdef"}]
)
def test_an_engine_of_another_runtime_or_graph_is_not_used(cache: EngineCache, change: dict[str, str]) -> None:
    record = the_engine(cache)
    assert record.identity.keys() >= change.keys()
    assert cache.find({**record.identity, **change}) is None
    assert cache.find(record.identity) == record


def test_a_record_that_names_a_file_elsewhere_is_not_believed(cache: EngineCache, tmp_path: Path) -> None:
    record = the_engine(cache)
    sidecar = cache.path(record).with_suffix(".json")
    (tmp_path / "foreign.onnx").write_bytes(cache.path(record).read_bytes())
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "file": "../foreign.onnx"}))
    assert cache.records() == []
    assert cache.find(record.identity) is None


def test_verify_finds_an_engine_below_the_floor_and_run_sets_it_aside_with_one_warning(
    made: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    # A recipe that asks for more than float16 can give: the record is the engine's own, but with another floor.
    record = the_engine(cache)
    strict = Recipe(engine="openvino", floor_db=150.0)
    recipe_file = cache.folder / "strict.toml"
    recipe_file.write_text('engine = "openvino"\nfloor_db = 150.0\n')
    wanted = BuildRequest(record.checkpoint, strict)
    from streamdehaze.engine.backend import find_backend
    from streamdehaze.engine.build.cache import engine_key

    identity = wanted.identity(find_backend(strict, record.checkpoint))
    stem = f"mine-openvino-{engine_key(identity)}"
    shutil.copy(cache.path(record), cache.folder / f"{stem}.onnx")
    cache.write(record.model_copy(update={"identity": identity, "recipe": strict, "file": f"{stem}.onnx"}))
    code, said = command("verify", stem)
    assert code == 1
    assert "rejected" in said
    assert "150.0 asked" in said
    with caplog.at_level(logging.WARNING):
        engine = open_engine(record.checkpoint, str(recipe_file))
        for _ in range(3):
            engine.infer(hazy_pictures(1, 48, 64))
    assert engine.name.startswith("torch")
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "150.0 asked" in caplog.text
    with pytest.raises(EngineError, match="set aside"):
        open_engine(record.checkpoint, str(recipe_file), wait=True)
    assert "failed its comparison" in command("prune")[1]


def test_two_processes_build_once(made: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(tmp_path)}
    program = "from streamdehaze.cli import main; main()"
    arguments = [sys.executable, "-c", program, "engine", "build", "--engine", "openvino"]
    both = [subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]  # the very same record: its times were measured once
    assert len(EngineCache(tmp_path).records()) == 1
    assert EngineCache(tmp_path).leftovers() == []


def test_a_checkpoint_replaced_during_the_build_makes_no_engine(tmp_path: Path) -> None:
    mine, cache = tmp_path / "mine.safetensors", EngineCache(tmp_path / "engines")
    shutil.copy(find_checkpoint("aecrnet-s"), mine)

    def replace(what: str, share: float | None) -> None:
        shutil.copy(find_checkpoint("aecrnet-m"), mine)

    with pytest.raises(EngineError, match=r"mine\.safetensors' was replaced while"):
        build_engine(BuildRequest(str(mine), OPENVINO), cache, replace)
    assert cache.records() == cache.leftovers() == []


@pytest.mark.skipif(sys.platform != "linux", reason="finds the child in /proc")
def test_a_build_killed_halfway_is_an_error_and_the_next_one_starts_over(made: Path, tmp_path: Path) -> None:
    from streamdehaze.engine.build.in_subprocess import build_in_subprocess

    cache = EngineCache(tmp_path)
    with ThreadPoolExecutor() as pool:
        building = pool.submit(build_in_subprocess, request_for(made), cache, threading.Event())
        while not cache.leftovers() and not building.done():
            time.sleep(0.01)
        (child,) = (
            pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
        )
        os.kill(int(child), signal.SIGKILL)
        with pytest.raises(EngineError, match="ended by SIGKILL"):
            building.result()
    assert cache.records() == []
    assert len(cache.leftovers()) == 1
    assert build_engine(request_for(made), cache).state == "verified"
    assert cache.leftovers() == []


def test_what_a_killed_build_leaves_is_not_an_engine_and_is_pruned(cache: EngineCache) -> None:
    record = the_engine(cache)
    half_way = cache.folder / "0123456789abcdef.part"
    half_way.mkdir()
    (half_way / "engine.onnx").write_bytes(b"half")
    orphan = cache.folder / "mine-openvino-ffffffffffffffff.onnx"
    orphan.write_bytes(b"whole but without its record")
    unreadable = cache.folder / "mine-openvino-eeeeeeeeeeeeeeee.json"
    unreadable.write_text("{")
    foreign = cache.folder / "a-model-of-somebody-else.onnx"
    foreign.write_bytes(b"not ours to remove")
    assert cache.records() == [record]
    assert set(cache.leftovers()) == {half_way, orphan, unreadable}
    command("prune")
    assert cache.leftovers() == []
    assert cache.intact(record)
    assert foreign.exists()


def test_a_folder_that_cannot_be_written_is_named(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be kept in"):
        build_engine(request_for(made), EngineCache(tmp_path / "file" / "engines"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_reported_and_nothing_is_left_on_it(cache: EngineCache) -> None:
    record = the_engine(cache)
    sidecar = cache.path(record).with_suffix(".json")
    sidecar.with_suffix(".json.part").symlink_to("/dev/full")
    before = sidecar.read_bytes()
    with pytest.raises(EngineError, match="no space left"):
        cache.write(record)
    assert sidecar.read_bytes() == before
    assert not sidecar.with_suffix(".json.part").is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_disk_too_full_for_what_openvino_compiles_costs_only_time(cache: EngineCache, tmp_path: Path) -> None:
    from streamdehaze.engine.openvino.backend import OpenVINOEngine

    graph, kept, hazy = cache.path(the_engine(cache)), tmp_path / "kept", hazy_pictures(1, 48, 64)
    clear = OpenVINOEngine(graph, cache=kept).infer(hazy)
    (note,) = kept.glob("*.sha256")
    note.unlink()
    note.with_name(f"{note.name}.part").symlink_to("/dev/full")
    assert np.array_equal(OpenVINOEngine(graph, cache=kept).infer(hazy), clear)
    assert list(kept.glob("*.sha256*")) == []


@pytest.fixture
def read_only(cache: EngineCache) -> Iterator[EngineCache]:
    """The cache on a disk that has become read-only, after its engine was altered."""
    whole = {path: path.read_bytes() for path in cache.folder.iterdir() if path.suffix in (".onnx", ".json")}
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(cache.folder)]).returncode
    ):
        pytest.skip("may not mount a tmpfs here")
    try:
        for path, content in whole.items():
            path.write_bytes(content[:-1] + b"x" if path.suffix == ".onnx" else content)
        subprocess.run(["mount", "-o", "remount,ro", str(cache.folder)], check=True)
        yield cache
    finally:
        subprocess.run(["umount", "--lazy", str(cache.folder)], check=True)


def test_a_damaged_engine_that_cannot_be_removed_is_not_used_and_said_in_one_sentence(
    made: Path, read_only: EngineCache
) -> None:
    assert open_engine(str(made / "mine.safetensors"), "openvino").name.startswith("torch")
    for arguments, said_so in (
        (("verify",), "its file is missing or altered"),
        (("build", "--engine", "openvino"), "cannot be kept in"),
        (("prune",), "nothing can be removed from"),
    ):
        code, said = command(*arguments)
        assert code == 1
        assert said_so in said


def test_engines_are_kept_in_the_users_cache_folder_not_in_the_source_tree() -> None:
    program = "from streamdehaze.engine import EngineCache; print(EngineCache().folder)"
    environment = {name: value for name, value in os.environ.items() if name != "STREAMDEHAZE_ENGINES"}
    environment["XDG_CACHE_HOME"] = "/somewhere/else"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    folder = Path(done.stdout.strip())
    assert folder.parts[-1] == "engines"
    assert "streamdehaze" in folder.parts
    assert Path(__file__).parents[1] not in folder.parents
    if sys.platform == "linux":
        assert folder == Path("/somewhere/else/streamdehaze/engines")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda hazy: hazy[:, :, :-4], "its result is 2×3×20×32 for 2×3×24×32"),
        (lambda hazy: hazy[:1], "its result is 1×3×24×32 for 2×3×24×32"),
        (lambda hazy: hazy / np.float32(0), "its result holds values that are not finite"),
        (lambda hazy: hazy * np.float32(0.5), "dB of PyTorch float32, 35.0 asked"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_comparison_says_what_is_wrong_with_a_result(answer: Callable[..., np.ndarray], why: str) -> None:
    from doubles import EngineDouble
    from streamdehaze.engine.build.verify import verify

    found = verify(EngineDouble(answer), TorchEngine(load_network("aecrnet-s")), (2, 24, 32), 35.0)
    assert not found.passed
    assert why in found.reason


def test_a_name_that_fits_no_engine_is_reported(cache: EngineCache) -> None:
    code, said = command("show", "nonsense")
    assert code == 1
    assert "there is no engine 'nonsense'" in said
