"""Scores agree with their definitions and with another library."""

from __future__ import annotations

import csv
import json
import math
import resource
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("pydantic")

from doubles import EngineDouble
from streamdehaze.cli import main
from streamdehaze.datasets.layouts import find_layout
from streamdehaze.datasets.sheet import LABEL_HEIGHT
from streamdehaze.dehaze import Dehazer
from streamdehaze.engine import TorchEngine
from streamdehaze.errors import MissingPackageError, SinkError, SourceError
from streamdehaze.evaluation import Extremes, SteadinessMeter, evaluate, psnr, ssim, visibility
from streamdehaze.evaluation.lpips import find_lpips
from streamdehaze.evaluation.report import TILE_HEIGHT
from streamdehaze.evaluation.temporal import motion_to_previous
from streamdehaze.evaluation.text import share_read
from streamdehaze.evaluation.visibility import visible_edges
from streamdehaze.network import Checkpoint, write_checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.training.card import write_card
from training_data import depth, make_pairs, make_scenes, picture, write_picture


def noisy(clear: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, clear.shape)
    return np.clip(clear + noise, 0, 255).astype(np.uint8)


def smooth(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (12, 16, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [2, 10, 40])
def test_psnr_and_ssim_agree_with_scikit_image(sigma: float) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    clear = picture(1, 90, 120)
    result = noisy(clear, sigma)
    assert psnr(result, clear) == pytest.approx(metrics.peak_signal_noise_ratio(clear, result), abs=1e-3)
    reference = metrics.structural_similarity(
        clear, result, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(result, clear) == pytest.approx(reference, abs=1e-3)


def test_ssim_agrees_with_scikit_image_where_the_picture_is_flat() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    clear = np.full((64, 64, 3), 200, np.uint8)
    result = noisy(clear, 0.7)
    reference = metrics.structural_similarity(
        clear, result, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(result, clear) == pytest.approx(reference, abs=1e-3)


def test_the_same_picture_scores_finitely() -> None:
    clear = picture(2)
    assert psnr(clear, clear) == 100
    assert ssim(clear, clear) == pytest.approx(1)


def test_haze_hides_edges_and_dehazing_brings_them_back() -> None:
    clear = picture(3, 120, 160)
    hazy = (clear * 0.15 + 0.85 * 220).astype(np.uint8)
    gained, lost = visibility(hazy, clear), visibility(clear, hazy)
    assert gained.edges > 0 > lost.edges
    assert gained.gradients > 3
    assert lost.gradients < 1
    assert visibility(hazy, hazy) == visibility(clear, clear)
    assert visibility(hazy, hazy).edges == 0


def test_only_pixels_that_became_saturated_are_counted() -> None:
    grey = np.full((40, 50, 3), 120, np.uint8)
    grey[:, :10] = 255
    crushed = grey.copy()
    crushed[:10, 10:] = 0
    assert visibility(grey, crushed).saturated == pytest.approx(10 * 40 / (40 * 50))


@pytest.mark.parametrize(("levels", "seen"), [(2, False), (20, True)])
def test_an_edge_is_visible_from_five_percent_of_contrast(levels: int, seen: bool) -> None:
    step = np.full((40, 40), 100, np.uint8)
    step[:, 20:] += np.uint8(levels)
    found = visible_edges(step)
    assert found.any() == seen
    assert not found[:, :18].any()
    assert not found[:, 21:].any()


def test_motion_is_found_and_newly_visible_parts_are_left_out() -> None:
    wide = cv2.GaussianBlur(smooth(4, 120, 200), (0, 0), 1)
    motion, seen = motion_to_previous(wide[:, 6:166], wide[:, :160])  # the camera went 6 pixels to the right
    inner = motion[20:-20, 20:-20]
    np.testing.assert_allclose(inner.mean(axis=(0, 1)), (6, 0), atol=0.3)
    assert not seen[:, -4:].any()
    assert seen[20:-20, 20:-20].mean() > 0.9


def test_a_steady_result_has_the_truths_error_and_a_flickering_one_more() -> None:
    truth = smooth(5)
    steady, flickering = SteadinessMeter(), SteadinessMeter()
    assert steady.steadiness is None
    for i in range(4):
        steady.add(truth, truth)
        flickering.add(np.clip(truth.astype(int) + 6 * (i % 2), 0, 255).astype(np.uint8), truth)
    one, other = steady.steadiness, flickering.steadiness
    assert one is not None
    assert other is not None
    assert one.warped_error == one.warped_error_of_truth
    assert (one.flicker, one.brightness_jump) == (0, 0)
    assert other.flicker == pytest.approx(6, abs=0.5)
    assert other.brightness_jump == pytest.approx(6, abs=0.5)
    assert other.warped_error > other.warped_error_of_truth + 5


@pytest.fixture(scope="module")
def dehazer() -> Dehazer:
    import torch

    torch.manual_seed(0)
    return Dehazer(engine=TorchEngine(AECRNet(4, deconv=False), "cpu"), network_size=64)


def test_an_evaluation_has_a_row_per_picture_and_a_summary(tmp_path: Path, dehazer: Dehazer) -> None:
    extremes = Extremes(2)
    report = evaluate(make_pairs(tmp_path / "data"), dehazer, extremes=extremes)
    assert [row["picture"] for row in report.rows] == [f"hazy/{i}_1_0.9.png" for i in range(3)]
    assert report.summary["psnr"]["mean"] == pytest.approx(np.mean([row["psnr"] for row in report.rows]))
    report.write_json(tmp_path / "r.json")
    report.write_csv(tmp_path / "r.csv")
    extremes.write(tmp_path / "r.png")
    assert json.loads((tmp_path / "r.json").read_text())["summary"] == report.summary
    with (tmp_path / "r.csv").open() as file:
        assert [row["picture"] for row in csv.DictReader(file)] == [row["picture"] for row in report.rows]
    sheet = cv2.imread(str(tmp_path / "r.png"))
    assert sheet is not None
    assert sheet.shape[0] == 4 * (TILE_HEIGHT + LABEL_HEIGHT)


def test_the_network_alone_is_scored_as_in_papers(tmp_path: Path, dehazer: Dehazer) -> None:
    for name, seed in (("hazy/1.png", 1), ("GT/1.png", 2)):
        write_picture(tmp_path / name, picture(seed, 46, 62))  # sides that are no multiples of 4
    (row,) = evaluate(tmp_path, dehazer, alone=True).rows
    padded = np.pad(picture(1, 46, 62), ((0, 2), (0, 2), (0, 0)), "reflect").astype(np.float32) / 255
    clear = dehazer.engine.infer(padded.transpose(2, 0, 1)[None])[0, :, :46, :62].transpose(1, 2, 0)
    assert row["psnr"] == pytest.approx(psnr(clear.clip(0, 1) * 255, picture(2, 46, 62)), abs=0.05)


def test_hazy_pictures_alone_are_scored_without_ground_truth(tmp_path: Path, dehazer: Dehazer) -> None:
    write_picture(tmp_path / "a.png", picture(6))
    report = evaluate(tmp_path, dehazer)
    assert not {"psnr", "ssim"} & set(report.rows[0])
    assert {"picture", "edges", "gradients", "saturated"} <= set(report.rows[0])


def test_any_two_folders_are_scored_together(tmp_path: Path, dehazer: Dehazer) -> None:
    folder = make_pairs(tmp_path / "data")
    (folder / "clear").rename(tmp_path / "sunny")
    (folder / "hazy").rename(tmp_path / "foggy")
    report = evaluate(tmp_path / "foggy", dehazer, clear=tmp_path / "sunny")
    assert [row["picture"] for row in report.rows] == [f"{i}_1_0.9.png" for i in range(3)]
    assert "psnr" in report.rows[0]


def test_frames_of_a_video_are_scored_for_steadiness(tmp_path: Path, dehazer: Dehazer) -> None:
    for i in range(3):
        write_picture(tmp_path / "hazy" / "C001" / f"{i:05d}.png", noisy(picture(7), 1, i))
        write_picture(tmp_path / "gt" / "C001" / f"{i:05d}.png", picture(7))
    (row,) = evaluate(tmp_path, dehazer).sequences
    assert row["sequence"] == "C001"
    assert math.isfinite(row["flicker"])


def test_looking_ahead_scores_every_frame_against_its_own_truth(tmp_path: Path) -> None:
    # Two videos: frames held back at the end of the first belong to it.
    for video, seed in (("C001", 1), ("C002", 5)):
        for i in range(4):
            clear = np.roll(picture(seed), 3 * i, axis=1)
            write_picture(tmp_path / "hazy" / video / f"{i:05d}.png", clear)
            write_picture(tmp_path / "gt" / video / f"{i:05d}.png", clear)

    unchanged = EngineDouble(lambda hazy: hazy)
    ahead = Dehazer(engine=unchanged, network_size=64, steady="low", look_ahead=True)
    report = evaluate(tmp_path, ahead)
    assert len(report.rows) == 8
    assert len(report.sequences) == 2
    assert min(row["psnr"] for row in report.rows) > 30  # type: ignore[type-var]


def test_pictures_with_depth_are_made_hazy_alike(tmp_path: Path, dehazer: Dehazer) -> None:
    for i in range(2):
        write_picture(tmp_path / f"frame-{i:06d}.color.png", picture(8))
        write_picture(tmp_path / f"frame-{i:06d}.depth.png", depth(0).astype(np.uint16) * 20)
    (frames,) = find_layout(tmp_path).sequences.values()
    assert len(frames) == 2
    report = evaluate(tmp_path, dehazer)
    assert report.rows[0]["hazy_psnr"] == report.rows[1]["hazy_psnr"] < 25
    assert report.sequences[0]["flicker"] == 0


def test_a_depth_map_of_another_size_works_and_a_missing_one_is_named(tmp_path: Path, dehazer: Dehazer) -> None:
    folder = make_scenes(tmp_path, 2)
    write_picture(folder / "0.depth.png", cv2.resize(depth(0), (32, 24)))
    assert len(evaluate(folder, dehazer).rows) == 2
    (folder / "1.depth.png").unlink()
    with pytest.raises(SourceError, match=r"no depth map for .*1\.png"):
        evaluate(folder, dehazer)


def test_mixed_up_pictures_are_not_taken_for_hazy_ones(tmp_path: Path, dehazer: Dehazer) -> None:
    write_picture(tmp_path / "hazy" / "a.png", picture(1))
    write_picture(tmp_path / "clear" / "b.png", picture(1))
    with pytest.raises(SourceError, match="no pair of a hazy and a clear one"):
        evaluate(tmp_path, dehazer)


def test_an_empty_folder_is_named(tmp_path: Path, dehazer: Dehazer) -> None:
    with pytest.raises(SourceError, match="no pictures in"):
        evaluate(tmp_path, dehazer)


def test_lpips_is_used_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torchvision.models import alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_lpips() is None
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth")
    lpips = find_lpips()
    assert lpips is not None
    clear = picture(9, 64, 64)
    assert lpips(clear, clear) == pytest.approx(0, abs=1e-6)
    assert lpips(noisy(clear, 30), clear) > 0


def sign(contrast: float) -> np.ndarray:
    """A road sign of two lines in fog."""
    board = np.full((160, 320, 3), 230, np.uint8)
    for line, y in (("HARBOUR 27", 65), ("EXIT NORTH", 120)):
        cv2.putText(board, line, (20, y), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (20, 20, 20), 3, cv2.LINE_AA)
    hazy = 200 + (board.astype(np.float32) - 200) * contrast
    return np.clip(hazy + np.random.default_rng(0).normal(0, 2, hazy.shape), 0, 255).astype(np.uint8)


def test_text_is_read_before_and_after(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    from streamdehaze.evaluation.text import open_reader

    write_picture(tmp_path / "hazy" / "a.png", sign(0.05))
    write_picture(tmp_path / "clear" / "a.png", sign(1))
    clearing = EngineDouble(lambda hazy: np.clip((hazy - 200 / 255) / 0.05 + 200 / 255, 0, 1).astype(np.float32))
    dehazer = Dehazer(engine=clearing, network_size=256)
    row = evaluate(tmp_path, dehazer, reader=open_reader()).rows[0]
    assert row["text_share"] > row["hazy_text_share"]  # type: ignore[operator]
    assert row["text"] > row["hazy_text"]  # type: ignore[operator]


def test_the_share_of_text_counts_each_true_line_once() -> None:
    truth = ["EXIT NORTH", "27"]
    assert share_read(truth, truth) == 1
    assert share_read(["EX1T", "noise"], truth) == pytest.approx(3 / 11)
    assert share_read([], truth) == 0
    assert share_read(["anything"], []) is None


def test_without_the_reader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamdehaze.evaluation.text import open_reader

    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingPackageError, match=r"reading text needs rapidocr: .*\[ocr\]"):
        open_reader()


def test_a_card_has_the_training_and_the_scores(tmp_path: Path, dehazer: Dehazer) -> None:
    report = evaluate(make_pairs(tmp_path / "data"), dehazer)
    report.write_json(tmp_path / "r.json")
    checkpoint = Checkpoint.of(AECRNet(4, deconv=False), {"training_data": "bsds", "loss": "L1"})
    card = write_card("mine", checkpoint, [json.loads((tmp_path / "r.json").read_text())])
    assert "| training data | bsds |" in card
    assert f"| data |  | 3 | {report.summary['psnr']['mean']:.2f} dB |" in card
    assert "| r̄ far | σ | brightness | near-black | clipped | chroma of the haze | sky's spread | halo |" in card
    assert f"× {report.summary['brightness']['mean']:.2f} |" in card


def test_a_card_of_real_haze_alone_has_no_empty_columns(tmp_path: Path, dehazer: Dehazer) -> None:
    write_picture(tmp_path / "smog" / "a.png", picture(6))
    evaluate(tmp_path / "smog", dehazer).write_json(tmp_path / "r.json")
    card = write_card("mine", Checkpoint.of(AECRNet(4)), [json.loads((tmp_path / "r.json").read_text())])
    assert "PSNR" not in card
    assert "| smog |  | 1 |" in card


def test_the_command_writes_the_outputs_it_is_asked_for(tmp_path: Path) -> None:
    from click.testing import CliRunner

    make_pairs(tmp_path / "data")
    write_checkpoint(tmp_path / "a.safetensors", AECRNet(4, deconv=False), {})
    files = {"json": "r.json", "csv": "r.csv", "grid": "r.png"}
    outputs = [f"--{kind}={tmp_path / name}" for kind, name in files.items()]
    arguments = ["evaluate", str(tmp_path / "data"), "--engine=torch", "--network-size=64", "--limit=2", *outputs]
    result = CliRunner().invoke(main, [*arguments, f"--checkpoint={tmp_path / 'a.safetensors'}"])
    assert result.exit_code == 0, result.output
    assert "2 pictures" in result.output
    assert all((tmp_path / name).is_file() for name in files.values())
    assert json.loads((tmp_path / "r.json").read_text())["facts"]["brightness"] == "natural"


def test_brightness_is_that_of_run_where_there_is_no_truth_and_the_network_alone_has_none(tmp_path: Path) -> None:
    from click.testing import CliRunner

    write_picture(tmp_path / "smog" / "a.png", picture(6))
    write_checkpoint(tmp_path / "a.safetensors", AECRNet(4, deconv=False), {})
    arguments = ["evaluate", str(tmp_path / "smog"), "--engine=torch", f"--checkpoint={tmp_path / 'a.safetensors'}"]
    for options, facts in ([], {"brightness": "keep"}), (["--alone"], {"mode": "network alone"}):
        result = CliRunner().invoke(main, [*arguments, *options, f"--json={tmp_path / 'r.json'}"])
        assert result.exit_code == 0, result.output
        assert facts.items() <= json.loads((tmp_path / "r.json").read_text())["facts"].items()
    refused = CliRunner().invoke(main, [*arguments, "--alone", "--brightness=keep"])
    assert (refused.exit_code, "--alone leaves out what --brightness sets" in refused.stderr) == (2, True)


@pytest.mark.parametrize("option", ["csv", "json", "grid"])
def test_an_output_whose_folder_is_missing_is_reported_before_the_work(tmp_path: Path, option: str) -> None:
    from click.testing import CliRunner

    folder = make_pairs(tmp_path / "data")
    result = CliRunner().invoke(main, ["evaluate", str(folder), f"--{option}={tmp_path / 'nowhere' / 'x.png'}"])
    assert result.exit_code == 1
    assert "does not exist; create it first" in result.stderr
    assert "pictures" not in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("option", ["csv", "json"])
def test_results_that_cannot_be_written_are_still_shown(tmp_path: Path, option: str) -> None:
    from click.testing import CliRunner

    folder = make_pairs(tmp_path / "data")
    arguments = ["evaluate", str(folder), "--engine=torch", "--network-size=64", "--limit=1", f"--{option}=/dev/full"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "1 picture\n" in result.stdout
    assert "'/dev/full' cannot be written: No space left on device" in result.stderr


def test_a_grid_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    extremes = Extremes()
    extremes.add(1.0, [picture(1)])
    with pytest.raises(SinkError, match=r"r\.foo does not name a picture"):
        extremes.write(tmp_path / "r.foo")


def test_data_check_says_what_it_sees_and_what_is_wrong(tmp_path: Path) -> None:
    from click.testing import CliRunner

    folder = make_pairs(tmp_path / "data")
    (folder / "hazy" / "9_1_1.png").write_bytes((folder / "hazy" / "0_1_0.9.png").read_bytes())
    (folder / "hazy" / "2_1_0.9.png").write_bytes(b"")
    sheet = tmp_path / "sheet.jpg"
    result = CliRunner().invoke(main, ["data", "check", str(folder), "--all", f"--sheet={sheet}"])
    assert "3 pairs, matched by names up to a '_' (RESIDE)" in result.output
    assert f"no partner: {folder / 'hazy' / '9_1_1.png'}" in result.output
    assert "2_1_0.9.png is damaged or not a picture" in result.output
    assert result.exit_code == 1
    assert sheet.is_file()


def test_rooms_are_rendered_once_and_trained_on(tmp_path: Path) -> None:
    from click.testing import CliRunner

    make_scenes(tmp_path / "photos")
    arguments = ["data", "rooms", str(tmp_path / "rooms"), f"--textures={tmp_path / 'photos'}", "--count=2"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    first = (tmp_path / "rooms" / "room-00000.png").stat().st_mtime_ns
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert (tmp_path / "rooms" / "room-00000.png").stat().st_mtime_ns == first
    result = CliRunner().invoke(main, ["data", "check", str(tmp_path / "rooms"), f"--sheet={tmp_path / 's.jpg'}"])
    assert "2 pictures with depth" in result.output
    assert (tmp_path / "s.jpg").is_file()


def test_rooms_that_cannot_be_written_are_reported_and_leave_a_consistent_folder(tmp_path: Path) -> None:
    from click.testing import CliRunner

    make_scenes(tmp_path / "photos")
    arguments = ["data", "rooms", str(tmp_path / "rooms"), f"--textures={tmp_path / 'photos'}", "--count=1"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a full disk, for one process
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        result = CliRunner().invoke(main, arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert result.exit_code == 1
    assert "room-00000" in result.output
    assert "cannot be written: File too large" in result.output
    assert CliRunner().invoke(main, arguments).exit_code == 0
    told = CliRunner().invoke(main, ["data", "check", str(tmp_path / "rooms"), f"--sheet={tmp_path / 's.jpg'}"])
    assert "1 picture" in told.output


def test_checkpoints_are_shown_widened_and_averaged(tmp_path: Path) -> None:
    from click.testing import CliRunner

    paths = [str(tmp_path / f"{name}.safetensors") for name in ("narrow", "wide", "mean", "copy")]
    write_checkpoint(paths[0], AECRNet(4), {"recipe": "mine"})
    for arguments, said in (
        (["show", paths[0]], "recipe: mine"),
        (["widen", paths[0], paths[1], "--width=8"], "width 8"),
        (["average", paths[1], paths[1], paths[2], "--share=3"], "give --share once for each of the 2 sources"),
        (["average", paths[1], paths[1], paths[2], "--share=3", "--share=1"], "mean of 2"),
        (["show", paths[2]], "average_of: 3 of wide.safetensors, 1 of wide.safetensors"),
        (["convert", paths[0], paths[3], "--half"], "width 4, with deconv"),
        (["card", paths[0]], "| recipe | mine |"),
    ):
        result = CliRunner().invoke(main, ["checkpoint", *arguments])
        assert said in " ".join(result.output.replace("│", " ").split()), result.output
    assert Path(paths[3]).stat().st_size < Path(paths[0]).stat().st_size
