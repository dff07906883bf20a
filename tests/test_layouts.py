"""Data sets are recognised in the layouts people have; nothing is paired by position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydantic")

from streamdehaze.datasets.layouts import Pair, find_layout, pair_folders
from streamdehaze.datasets.pairs import read_pair
from streamdehaze.datasets.picture import read_depth, read_picture
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.training.samples.dataset import HazeSamples, Position, PositionBatches, WeightedSet
from training_data import configuration, make_pairs, make_scenes, picture, write_picture

LAYOUTS = {
    "RESIDE ITS": (["hazy/1_1_0.90179.png", "hazy/1_2_0.97842.png"], ["clear/1.png"]),
    "RESIDE ITS, as unpacked": (
        ["train/ITS_haze/1_1_0.90179.png", "val/haze/10001_1_0.9.png"],
        ["train/ITS_clear/1.png", "val/clear/10001.png"],
    ),
    "RESIDE OTS": (["hazy/0005_0.8_0.04.jpg", "hazy/0005_1_0.2.jpg"], ["clear/0005.jpg"]),
    "RESIDE OTS, in parts": (["hazy/part1/5_0.8_0.04.jpg", "hazy/part2/6_1_0.2.jpg"], ["clear/5.jpg", "clear/6.jpg"]),
    "RESIDE OTS, as unpacked": (["B/haze/OTS/0005_0.8_0.04.jpg"], ["B/clear/clear_images/0005.jpg"]),
    "SOTS": (["in/hazy/1400_1.png", "out/hazy/0001_0.8_0.2.jpg"], ["in/clear/1400.png", "out/clear/0001.png"]),
    "RESIDE-IN of DehazeFormer": (["test/hazy/7_1.png", "train/hazy/7_1.png"], ["test/GT/7_1.png", "train/GT/7_1.png"]),
    "RESIDE-6K, RESIDE-OUT": (["test/hazy/0001.jpg", "train/hazy/0001.jpg"], ["test/GT/0001.jpg", "train/GT/0001.jpg"]),
    "RS-Haze": (["train/hazy/1-RGB-2-a.png"], ["train/GT/1-RGB-2-a.png"]),
    "ITS of gUNet": (["ITS/IN/3.png"], ["ITS/GT/3.png"]),
    "Haze4K": (["haze/1_0.89_1.56.png"], ["gt/1.png"]),
    "O-HAZE": (["hazy/01_outdoor_hazy.jpg"], ["GT/01_outdoor_GT.jpg"]),
    "I-HAZE, flat": (["01_indoor_hazy.jpg"], ["01_indoor_GT.jpg"]),
    "O-HAZE of NTIRE 2018": (["OutdoorTrainHazy/01_outdoor_hazy.jpg"], ["OutdoorTrainGT/01_outdoor_GT.jpg"]),
    "NH-HAZE in its folder": (["NH-HAZE/51_hazy.png"], ["NH-HAZE/51_GT.png"]),
    "NH-HAZE, flat": (["51_hazy.png", "52_hazy.png"], ["51_GT.png", "52_GT.png"]),
    "Dense-Haze": (["hazy/51_hazy.png"], ["GT/51_GT.png"]),
    "NH-HAZE in a folder that ends in haze": (["nh_haze/51_hazy.png"], ["nh_haze/51_GT.png"]),
    "less usual extensions": (["hazy/1.avif", "hazy/2.jfif", "hazy/3.JPE", "hazy/4.dib"],
                              ["GT/1.avif", "GT/2.jfif", "GT/3.JPE", "GT/4.dib"]),
}  # fmt: skip
VIDEOS = {
    "REVIDE": (["Test/hazy/C1/00000.JPG", "Test/hazy/C1/00001.JPG"], ["Test/gt/C1/00000.JPG", "Test/gt/C1/00001.JPG"]),
    "HazeWorld": (["hazy/REDS/001_0.8_1.2/00000.jpg", "hazy/REDS/001_1.0_0.6/00000.jpg"], ["gt/REDS/001/00000.jpg"]),
    "HazeWorld, names of several words": (["hazy/MVI_20011_0.01/00000.jpg"], ["gt/MVI_20011/00000.jpg"]),
    "a folder a video": (["C001/hazy/00000.png", "C002/hazy/00000.png"], ["C001/GT/00000.png", "C002/GT/00000.png"]),
}  # fmt: skip


def touch(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(("hazy", "clear"), {**LAYOUTS, **VIDEOS}.values(), ids={**LAYOUTS, **VIDEOS}.keys())
def test_layouts_are_recognised(tmp_path: Path, hazy: list[str], clear: list[str]) -> None:
    touch(tmp_path, hazy + clear)
    layout = find_layout(tmp_path)
    assert [pair.hazy for pair in layout.pairs] == [tmp_path / name for name in hazy]
    assert {pair.clear for pair in layout.pairs} == {tmp_path / name for name in clear}
    assert layout.unmatched == ()


@pytest.mark.parametrize(("hazy", "clear"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_single_pictures_are_no_videos(tmp_path: Path, hazy: list[str], clear: list[str]) -> None:
    touch(tmp_path, hazy + clear)
    assert find_layout(tmp_path).sequences == {}


@pytest.mark.parametrize(("hazy", "clear"), VIDEOS.values(), ids=VIDEOS.keys())
def test_videos_are_kept_apart(tmp_path: Path, hazy: list[str], clear: list[str]) -> None:
    touch(tmp_path, hazy + clear)
    found = [[pair.hazy for pair in frames] for frames in find_layout(tmp_path).sequences.values()]
    folders = sorted({(tmp_path / name).parent for name in hazy})
    assert found == [[tmp_path / name for name in hazy if (tmp_path / name).parent == folder] for folder in folders]


def test_unpaired_files_are_named_not_shifted(tmp_path: Path) -> None:
    touch(tmp_path, ["hazy/1.png", "hazy/2.png", "hazy/3.png", "GT/2.png", "GT/3.png", "GT/4.png"])
    layout = find_layout(tmp_path)
    assert [(p.hazy.name, p.clear.name) for p in layout.pairs] == [("2.png", "2.png"), ("3.png", "3.png")]
    assert layout.unmatched == (tmp_path / "GT/4.png", tmp_path / "hazy/1.png")


def test_frames_come_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, [f"{role}/{i}.png" for role in ("hazy", "clear") for i in (10, 9, 1)])
    assert [pair.hazy.stem for pair in find_layout(tmp_path).pairs] == ["1", "9", "10"]


def test_any_two_folders_pair_by_name(tmp_path: Path) -> None:
    touch(tmp_path, ["foggy_days/a.png", "foggy_days/b.png", "sunny_days/a.jpg"])
    layout = pair_folders(tmp_path / "foggy_days", tmp_path / "sunny_days")
    assert [(pair.hazy.name, pair.clear.name) for pair in layout.pairs] == [("a.png", "a.jpg")]
    assert layout.unmatched == (tmp_path / "foggy_days/b.png",)


def test_a_folder_of_clear_pictures_pairs_with_itself(tmp_path: Path) -> None:
    touch(tmp_path, ["clear/1.png", "clear/2.png"])
    layout = pair_folders(tmp_path / "clear", tmp_path / "clear")
    assert [(pair.hazy.name, pair.clear.name) for pair in layout.pairs] == [("1.png", "1.png"), ("2.png", "2.png")]
    assert layout.unmatched == ()


def test_a_missing_depth_is_named(tmp_path: Path) -> None:
    make_scenes(tmp_path)
    (tmp_path / "2.depth.png").unlink()
    with pytest.raises(SourceError, match=r"no depth map for .*2\.png"):
        find_layout(tmp_path)


def test_depth_maps_lie_next_to_a_picture_or_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, ["beside/a.color.jpg", "beside/a.depth.png"])
    (beside,) = find_layout(tmp_path / "beside").scenes
    assert (beside.clear.name, beside.depth.name, beside.sequence) == ("a.color.jpg", "a.depth.png", "beside")
    touch(tmp_path, ["kitchen/color/10.jpg", "kitchen/color/9.jpg", *(f"kitchen/depth/{i}.png" for i in (9, 10, 11))])
    layout = find_layout(tmp_path / "kitchen")
    found = [(scene.clear.name, scene.depth.name, scene.sequence) for scene in layout.scenes]
    assert found == [("9.jpg", "9.png", "kitchen"), ("10.jpg", "10.png", "kitchen")]
    assert layout.unmatched == (tmp_path / "kitchen/depth/11.png",)
    (tmp_path / "kitchen/depth/9.png").unlink()
    with pytest.raises(SourceError, match=r"no depth map for .*color/9\.jpg; expected as depth/NAME\.png"):
        find_layout(tmp_path / "kitchen")


def test_a_depth_folder_next_to_pairs_does_no_harm(tmp_path: Path) -> None:
    touch(tmp_path, ["haze/1_0.6_1.8.png", "gt/1.png", "depth/1.png", "trans/1.png"])
    layout = find_layout(tmp_path)
    assert (len(layout.pairs), layout.scenes, layout.unmatched) == (1, (), ())
    touch(tmp_path, ["train/ITS_haze/2_1_0.9.png", "train/ITS_clear/2.png", "train/ITS_trans/2_1.png"])
    layout = find_layout(tmp_path)
    assert (len(layout.pairs), layout.scenes, layout.unmatched) == (2, (), ())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no pictures in"),
        (["a.png", "b.png"], "no pair of a hazy and a clear one"),
        (["hazy/1.png", "GT/1.png", "2.png", "2.depth.png"], "mixes"),
        (["hazy/1.png", "GT/1.png", "GT/1.jpg"], "two clear pictures for one name"),
    ],
    ids=["empty", "without roles", "mixed", "ambiguous"],
)
def test_folders_that_cannot_be_used_are_refused_with_a_reason(tmp_path: Path, names: list[str], message: str) -> None:
    touch(tmp_path, names)
    with pytest.raises(SourceError, match=message):
        find_layout(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no folder .*nowhere"):
        find_layout(tmp_path / "nowhere")


def test_sixteen_bit_and_grey_pictures_are_read(tmp_path: Path) -> None:
    clear = picture(1)
    sixteen = write_picture(tmp_path / "16.png", clear.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_picture(sixteen), clear)
    grey = write_picture(tmp_path / "grey.png", clear[..., 0])
    np.testing.assert_array_equal(read_picture(grey), clear[..., :1].repeat(3, axis=2))


def test_unknown_depth_takes_the_nearest_known(tmp_path: Path) -> None:
    millimetres = np.full((20, 30), 4000, np.uint16)
    millimetres[:, :10] = 1000
    millimetres[5:8, 2:5] = 0
    found = read_depth(write_picture(tmp_path / "a.depth.png", millimetres))
    np.testing.assert_allclose(found[:, :10], 0.25, atol=1e-6)
    np.testing.assert_allclose(found[:, 10:], 1, atol=1e-6)


def test_resides_white_frame_is_cut_off(tmp_path: Path) -> None:
    clear = picture(2)
    framed = np.pad(clear, ((10, 10), (10, 10), (0, 0)), constant_values=255)
    write_picture(tmp_path / "clear/1.png", framed)
    write_picture(tmp_path / "hazy/1_1_0.9.png", clear)
    (pair,) = find_layout(tmp_path).pairs
    np.testing.assert_array_equal(read_pair(pair)[1], clear)


def samples(folder: Path, **options: Any) -> HazeSamples:
    return HazeSamples([WeightedSet(find_layout(folder))], configuration(folder, folder, seed=1, **options))


def test_a_sample_is_the_same_from_memory_and_from_disk(tmp_path: Path) -> None:
    folder = make_scenes(tmp_path)
    one, other = samples(folder, in_memory=True), samples(folder, in_memory=False)
    for number in (0, 17, 3):
        for a, b in zip(one[Position(number, 32, 40)], other[Position(number, 32, 40)], strict=True):
            assert a.shape == (3, 32, 40)
            assert a.equal(b)


def test_sizes_that_differ_within_a_pair_are_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "hazy/1.png", picture(0, 48, 64))
    write_picture(tmp_path / "GT/1.png", picture(0, 48, 60))
    with pytest.raises(SourceError, match=r"sizes differ: .*hazy/1\.png is 64x48, .*GT/1\.png is 60x48"):
        samples(tmp_path)[Position(0, 32, 32)]


def test_a_smaller_depth_map_is_enlarged_and_one_of_another_shape_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", picture(0, 48, 64))
    write_picture(tmp_path / "1.depth.png", np.full((24, 32), 100, np.uint8))
    assert samples(tmp_path)[Position(0, 32, 32)].clear.shape == (3, 32, 32)
    write_picture(tmp_path / "1.depth.png", np.full((32, 32), 100, np.uint8))
    with pytest.raises(SourceError, match=r"shapes differ: .*1\.png is 64x48, .*1\.depth\.png is 32x32"):
        samples(tmp_path)[Position(0, 32, 32)]


def draw_30(data: HazeSamples) -> None:
    for number in range(30):
        data[Position(number, 32, 32)]


def test_a_damaged_file_stops_or_is_skipped(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    damaged = tmp_path / "hazy/1_1_0.9.png"
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"1_1_0\.9\.png is damaged or not a picture"):
        draw_30(samples(tmp_path))
    draw_30(samples(tmp_path, damaged="skip"))


def test_a_folder_of_damaged_files_stops_even_if_they_are_skipped(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    for path in (tmp_path / "hazy").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SourceError, match="is damaged or not a picture"):
        samples(tmp_path, damaged="skip")[Position(0, 32, 32)]


def test_a_crop_larger_than_the_picture_is_refused(tmp_path: Path) -> None:
    data = samples(make_pairs(tmp_path), view={"kind": "crop"})
    with pytest.raises(ConfigError, match=r"hazy/\d_1_0\.9\.png: a crop of 240x240 does not fit a picture of 64x48"):
        data[Position(0, 240, 240)]


def test_ranks_share_a_batch_and_a_resumed_run_skips_what_is_done() -> None:
    from streamdehaze.training.config import StageConfig

    stages = [StageConfig(size=(32, 32), batch=2, steps=2), StageConfig(size=(32, 48), batch=3, steps=2)]
    ranks = [list(PositionBatches(stages, rank=rank, world_size=2)) for rank in range(2)]
    numbers = sorted(position.number for batches in ranks for batch in batches for position in batch)
    assert numbers == list(range(2 * (2 * 2 + 2 * 3)))
    assert list(PositionBatches(stages, start_step=3, rank=1, world_size=2)) == ranks[1][3:]


def test_a_file_may_list_the_pairs(tmp_path: Path) -> None:
    for name in ("foggy day.png", "sub/sunny.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    listed = tmp_path / "mine.csv"
    listed.write_text("hazy,clear\nfoggy day.png,sub/sunny.png\n")
    assert find_layout(listed).pairs == (Pair(tmp_path / "foggy day.png", tmp_path / "sub/sunny.png"),)
    for content, said in (
        ("hazy,clear\nfoggy day.png,gone.png\n", r"mine\.csv lists .*gone\.png, which is missing"),
        ("hazy,truth\na,b\n", "must have the columns 'hazy' and 'clear'"),
        ("hazy,clear\na\n", "a pair of pictures in each row"),
        ("", "must have the columns"),
    ):
        listed.write_text(content)
        with pytest.raises(SourceError, match=said):
            find_layout(listed)
    with pytest.raises(SourceError, match=r"none\.csv cannot be read: No such file"):
        find_layout(tmp_path / "none.csv")
