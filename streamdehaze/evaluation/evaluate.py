"""Dehazes a data set and scores what comes out."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.haze import Haze, HazeConfig
from streamdehaze.datasets.layouts import Layout, NoTruthError, find_layout, find_pictures, pair_folders
from streamdehaze.datasets.pairs import read_pair, read_scene
from streamdehaze.datasets.picture import read_picture, to_float
from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.exact import network_alone
from streamdehaze.dehaze.steady.stillness import StillnessMeter
from streamdehaze.evaluation.appearance import appearance
from streamdehaze.evaluation.detection import DetectionMeter
from streamdehaze.evaluation.haze_map import map_haze
from streamdehaze.evaluation.lpips import find_lpips
from streamdehaze.evaluation.report import EvaluationReport, Extremes, Row, Value
from streamdehaze.evaluation.temporal import SteadinessMeter
from streamdehaze.evaluation.text import TextReader, characters, share_read
from streamdehaze.evaluation.visibility import visibility
from streamdehaze.fidelity import psnr, ssim
from streamdehaze.frame import Frame
from streamdehaze.video.picture.pattern import natural_order

log = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]
Picture = tuple[str, str | None, Bytes, Bytes | None]
"""Name, video (None if it is of none), hazy, and clear or None."""
_TEST_HAZE = HazeConfig(
    clear=0, scattering=(1.2, 1.2), depth_scale=(1, 1), offset=0, uneven=0, airlight=(0.85, 0.85), bright=0, tinted=0,
    slope=0, noisy=0, codec=0,
)  # fmt: skip


def has_truth(folder: str | os.PathLike[str], clear: str | os.PathLike[str] | None = None) -> bool:
    """Whether `evaluate` will compare with ground truth, rather than score hazy pictures alone.

    Raises:
        SourceError: if the folder holds no pictures.
    """
    if clear is not None:
        return True
    try:
        find_layout(folder)
    except NoTruthError:
        return False
    return True


def evaluate(
    folder: str | os.PathLike[str],
    dehazer: Dehazer,
    *,
    clear: str | os.PathLike[str] | None = None,
    take: int = 1,
    limit: int | None = None,
    alone: bool = False,
    extremes: Extremes | None = None,
    reader: TextReader | None = None,
    detection: DetectionMeter | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> EvaluationReport:
    """Score a dehazer on a folder.

    Pairs are scored against their truth, and videos among them for steadiness. Pictures with depth are made hazy first
    (β 1.2 to the far end, A 0.85, the same in every frame). All of them, those without ground truth too, are scored
    for what became visible (`VisibleEdges`) and for what else was done to them (`Appearance`).

    Args:
        folder: of a known layout, or of hazy pictures.
        dehazer: what is scored; it is reset before each video, and before each picture of none.
        clear: folder of the clear pictures, if `folder` holds the hazy ones alone.
        take: every k-th picture only, in natural order from the first; what a recipe's `left_out` keeps from training.
        limit: this many pictures at most, from the first.
        alone: score the network's own answers to whole pictures, as papers do, without what the dehazer does around it.
        extremes: gets the best and the worst, by PSNR, or by r̄ without ground truth.
        reader: reads text; with it, characters read before and after are columns, and shares of the truth's.
        detection: finds things in the pictures that it has boxes for.
        progress: called with each picture's name before it is dehazed.

    Raises:
        SourceError: if the folder holds no pictures, or naming a file that is damaged.
    """
    extremes = extremes or Extremes()
    lpips = find_lpips()
    rows: list[Row] = []
    videos: dict[str, tuple[SteadinessMeter, StillnessMeter]] = {}
    rule, pictures = _pictures(Path(folder), clear, slice(None, None if limit is None else limit * take, take))
    for (name, sequence, hazy, truth), result in _dehazed(pictures, dehazer, progress, alone):
        row: dict[str, Value] = {"picture": name}
        shown = [hazy, result]
        if truth is not None:
            row |= {"psnr": psnr(result, truth), "ssim": ssim(result, truth)}
            row |= {"hazy_psnr": psnr(hazy, truth), "hazy_ssim": ssim(hazy, truth)}
            if lpips is not None:
                row["lpips"] = lpips(result, truth)
            shown.append(truth)
            if sequence is not None:
                steadiness, stillness = videos.setdefault(sequence, (SteadinessMeter(), StillnessMeter()))
                steadiness.add(result, truth)
                stillness.add(hazy, result)
        haze = map_haze(hazy)
        row |= asdict(visibility(hazy, result, haze.far)) | asdict(appearance(hazy, result, haze))
        if detection is not None:
            detection.add(name, dict(zip(("hazy", "cleared", "clear"), shown, strict=False)))
        if reader is not None:
            row |= _text(reader, hazy, result, truth)
        rows.append(row)
        score = row["psnr"] if truth is not None else row["gradients"]
        assert isinstance(score, float)
        extremes.add(score, shown)
    sequences: list[Row] = [
        {"sequence": name, **asdict(along), **asdict(still)}
        for name, meters in videos.items()
        if (along := meters[0].steadiness) is not None and (still := meters[1].stillness) is not None
    ]
    traces = {name: [result for result, _ in along.trace] for name, (along, _) in videos.items()}
    traces |= {f"{name}, truth": [truth for _, truth in along.trace] for name, (along, _) in videos.items()}
    facts = {"folder": Path(folder).name, "layout": rule, "lpips": "yes" if lpips else "no weights on this machine"}
    return EvaluationReport(facts, rows, sequences, traces, detection.precision if detection is not None else {})


def _text(reader: TextReader, hazy: Bytes, result: Bytes, truth: Bytes | None) -> dict[str, Value]:
    before, after = reader(hazy), reader(result)
    found: dict[str, Value] = {"hazy_text": characters(before), "text": characters(after)}
    if truth is not None:
        true = reader(truth)
        found |= {"hazy_text_share": share_read(before, true), "text_share": share_read(after, true)}
    return found


def _dehazed(
    pictures: Iterator[Picture], dehazer: Dehazer, progress: Callable[[str], None], alone: bool
) -> Iterator[tuple[Picture, Bytes]]:
    """Each picture and its result, in order; a dehazer that looks ahead lags by a few."""
    for _, group in itertools.groupby(pictures, key=lambda picture: picture[1] or picture[0]):
        dehazer.reset()
        waiting: deque[Picture] = deque()
        for picture in group:
            progress(picture[0])
            if alone:
                yield picture, network_alone(dehazer.engine, picture[2])
                continue
            waiting.append(picture)
            for clear in dehazer.process([Frame.from_array(picture[2])]):
                yield waiting.popleft(), clear.to_array()
        for clear in dehazer.flush():
            yield waiting.popleft(), clear.to_array()


def _pictures(folder: Path, clear: str | os.PathLike[str] | None, chosen: slice) -> tuple[str, Iterator[Picture]]:
    """How the folder was understood, and its pictures."""
    try:
        layout = pair_folders(folder, clear) if clear is not None else find_layout(folder)
    except NoTruthError:
        if clear is not None:
            raise
        hazy = sorted(find_pictures(folder), key=natural_order)[chosen]
        return "hazy pictures without ground truth", ((path.name, None, read_picture(path), None) for path in hazy)
    if layout.unmatched:
        names = ", ".join(path.name for path in layout.unmatched[:5])
        log.warning("%d pictures without a partner are left out: %s", len(layout.unmatched), names)
    return layout.rule, _from_scenes(layout, chosen) if layout.scenes else _from_pairs(layout, chosen)


def _from_pairs(layout: Layout, chosen: slice) -> Iterator[Picture]:
    for pair in layout.pairs[chosen]:
        hazy, clear = read_pair(pair)
        yield Path(os.path.relpath(pair.hazy, layout.folder)).as_posix(), pair.sequence, hazy, clear


def _from_scenes(layout: Layout, chosen: slice) -> Iterator[Picture]:
    rng = np.random.default_rng(0)
    haze = Haze.draw(_TEST_HAZE, rng)
    for scene in layout.scenes[chosen]:
        clear, depth = read_scene(scene)
        hazy = haze.add_to(to_float(clear), depth, rng)
        name = scene.clear.relative_to(layout.folder).as_posix()
        yield name, scene.sequence, (hazy * 255 + 0.5).astype(np.uint8), clear
