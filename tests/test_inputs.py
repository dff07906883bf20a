"""What is typed becomes the right list of files, each with an output name that replaces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.pipeline.inputs import Job, expand_inputs, output_path, plan_jobs
from streamdehaze.video.picture.pattern import is_sequence


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like those people have, as the current one."""
    for name in (
        "footage/shot10.mp4", "footage/shot2.MOV", "footage/harbour.jpg", "footage/notes.txt", "footage/.hidden.mp4",
        "footage/shot2.clear.MOV", "footage/shot10.part.mp4", "footage/shot10.clear.part.mp4",
        "footage/moved.clear.mp4", "footage/shot10.clear.preview.jpg", "footage/day2/shot2.MOV",
        "footage/day2/deep/x.png", "empty/notes.txt",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*typed: str, recursive: bool = False) -> list[str]:
    return [each.path for each in expand_inputs(typed, recursive=recursive)]


def test_a_folder_gives_its_media_in_natural_order_without_our_own_results(footage: Path) -> None:
    assert paths("footage") == ["footage/harbour.jpg", "footage/shot2.MOV", "footage/shot10.mp4"]


def test_files_in_a_folder_that_are_skipped_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "b.jxl", "c.JXL", "d.insv", "e.txt", "a.clear.jpg", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert [job.input for job in plan_jobs([str(tmp_path)])] == [str(tmp_path / "a.jpg")]
    assert "4 files in folders are left out" in caplog.text
    assert ".jxl (2), .insv (1), .txt (1)" in caplog.text


def test_frames_of_a_film_that_are_given_as_photos_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (
        "a.0998.exr",
        "a.0999.exr",
        "a.1000.exr",
        "b7.dpx",
        "b8.dpx",
        "c.0001.dpx",
        "IMG_0001.jpg",
        "IMG_0002.jpg",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert len(plan_jobs([str(tmp_path)])) == 8
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("3 frames are made clear one by one")
    assert told.endswith(f"give '{tmp_path}/a.####.exr'")
    caplog.clear()
    plan_jobs([str(tmp_path / "a.####.exr")])
    assert not caplog.records


def test_folders_inside_a_folder_are_taken_on_request(footage: Path) -> None:
    inside = ["footage/day2/shot2.MOV", "footage/day2/deep/x.png"]
    assert paths("footage", recursive=True) == [*paths("footage"), *inside]


def test_a_glob_gives_media_and_an_extension_in_it_is_obeyed(footage: Path) -> None:
    assert paths("footage/*") == ["footage/harbour.jpg", "footage/shot2.MOV", "footage/shot10.mp4"]
    assert paths("footage/*.mp4") == ["footage/shot10.mp4"]
    assert paths("footage/*.txt") == ["footage/notes.txt"]
    assert paths("**/*.MOV") == ["footage/day2/shot2.MOV", "footage/shot2.MOV"]


def test_a_file_with_brackets_in_its_name_is_a_file(footage: Path) -> None:
    Path("fog [4k].mp4").write_bytes(b"x")
    assert paths("fog [4k].mp4") == ["fog [4k].mp4"]


def test_a_file_named_twice_is_read_once(footage: Path) -> None:
    assert paths("footage/shot10.mp4", "footage", "./footage/shot10.mp4").count("footage/shot10.mp4") == 1
    assert len(paths("footage/shot10.mp4", "footage/../footage/shot10.mp4")) == 1


def test_a_second_run_with_the_shells_star_skips_the_first_runs_results(footage: Path) -> None:
    assert paths("footage/shot2.MOV", "footage/shot2.clear.MOV") == ["footage/shot2.MOV"]
    assert paths("footage/shot2.clear.MOV") == ["footage/shot2.clear.MOV"]  # named by itself, it is wanted


def test_a_missing_file_fails_by_itself(footage: Path) -> None:
    assert paths("gone.mp4", "footage/shot10.mp4") == ["gone.mp4", "footage/shot10.mp4"]
    assert paths("gone*.mp4", "footage/shot10.mp4") == ["gone*.mp4", "footage/shot10.mp4"]
    assert paths("empty", "footage/shot10.mp4") == ["empty", "footage/shot10.mp4"]
    assert paths("gone.mp4") == ["gone.mp4"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [("empty", "there is no video or picture in 'empty'"), ("gone*.mp4", "no file matches 'gone*.mp4'")],
)
def test_nothing_to_read_is_reported_in_one_sentence(footage: Path, typed: str, words: str) -> None:
    with pytest.raises(SourceError, match=words.replace("*", r"\*")):
        expand_inputs([typed])


def test_sequences_and_standard_input_pass_as_they_are(footage: Path) -> None:
    assert paths("frames/%05d.png", "-") == ["frames/%05d.png", "-"]
    assert is_sequence("frames/%05d.png")
    assert is_sequence("frames/f%d.tif")
    assert not is_sequence("frames/100%.png")
    Path("50%d.png").write_bytes(b"x")
    assert not is_sequence("50%d.png")  # a file of just that name


@pytest.mark.parametrize(
    ("source", "output", "result"),
    [
        ("a/foggy.mp4", None, "a/foggy.clear.mp4"),
        ("a/foggy.tar.MP4", None, "a/foggy.tar.clear.MP4"),
        ("frames/%05d.png", None, "frames/%05d.clear.png"),
        ("a/foggy.mp4", "b/clear.mkv", "b/clear.mkv"),
        ("a/foggy.mp4", "new/", "new/foggy.clear.mp4"),
        ("a/foggy.mp4", "footage", "footage/foggy.clear.mp4"),
        ("a/foggy.mp4", "out/{stem}.clear{suffix}", "out/foggy.clear.mp4"),
        ("a/foggy.mp4", "{parent}/x_{name}", "a/x_foggy.mp4"),
        ("a/foggy.mp4", "out/{stem}/", "out/foggy/foggy.clear.mp4"),
        ("a/foggy.mp4", "{{{stem}}}.mkv", "{foggy}.mkv"),
        ("frames/%05d.png", "out/", "out/%05d.clear.png"),
        ("frames/%05d.png", "out/%03d.jpg", "out/%03d.jpg"),
        ("frames/%05d.png", "out/{name}", "out/%05d.png"),
        ("frames/%05d.png", "movie.mkv", "movie.mkv"),
        ("foggy.mp4", "-", "-"),
        ("-", None, "-"),
        ("-", "clear.mkv", "clear.mkv"),
        ("https://host.example/fog/foggy.mp4?key=1", None, "foggy.clear.mp4"),
    ],
)
def test_names_of_results(footage: Path, source: str, output: str | None, result: str) -> None:
    assert Path(output_path(source, output)) == Path(result)


def test_unknown_placeholder_names_the_right_ones(footage: Path) -> None:
    with pytest.raises(ConfigError, match=r"\{basename\}; it can use \{stem\}, \{suffix\}, \{name\}, \{parent\}"):
        output_path("foggy.mp4", "out/{basename}.mp4")
    with pytest.raises(ConfigError, match="brace"):
        output_path("foggy.mp4", "out/{stem.mp4")
    with pytest.raises(ConfigError, match="unknown placeholder"):
        output_path("foggy.mp4", "out/{stem.__class__}.mp4")


@pytest.mark.parametrize(("source", "output"), [("-", "out/"), ("-", "{stem}.mkv"), ("rtsp://user:secret@cam/1", None)])
def test_a_nameless_input_asks_for_an_output(footage: Path, source: str, output: str | None) -> None:
    with pytest.raises(ConfigError, match="name the output with -o") as caught:
        output_path(source, output)
    assert "secret" not in str(caught.value)


def test_a_folder_into_a_folder_keeps_its_inner_folders(footage: Path) -> None:
    jobs = plan_jobs(["footage"], "out/", recursive=True)
    assert Job("footage/day2/deep/x.png", "out/day2/deep/x.clear.png") in jobs
    assert Job("footage/shot2.MOV", "out/shot2.clear.MOV") in jobs


@pytest.mark.parametrize("output", ["made/%05d.png", "made/{stem}.png", "made/"])
def test_folders_of_results_that_have_names_of_their_own_need_not_be_there(footage: Path, output: str) -> None:
    plan_jobs(["frames/%05d.png"], output)
    assert not (footage / "made").exists()


def test_the_folder_of_a_file_is_to_be_there(footage: Path) -> None:
    with pytest.raises(ConfigError, match=r"the folder 'made' for 'x\.mp4' does not exist; create it first"):
        plan_jobs(["footage/shot2.MOV"], "made/x.mp4")


def test_one_output_file_for_many_inputs_is_refused(footage: Path) -> None:
    with pytest.raises(ConfigError, match=r"'out.mp4' is one file, but there are 3 inputs; give a folder"):
        plan_jobs(["footage"], "out.mp4")


def test_two_results_of_one_name_are_refused_with_both_inputs_named(footage: Path) -> None:
    with pytest.raises(ConfigError, match=r"'footage/shot2.MOV' and 'footage/day2/shot2.MOV' would both be written"):
        plan_jobs(["footage/shot2.MOV", "footage/day2/shot2.MOV"], "out/")
    assert not Path("out").exists()


def test_passwords_in_addresses_are_not_shown(footage: Path) -> None:
    with pytest.raises(ConfigError, match="would both be written") as caught:
        plan_jobs(["https://me:secret@host/a/x.mp4", "https://me:secret@host/b/x.mp4"])
    assert "secret" not in str(caught.value)


def test_a_result_never_replaces_another_input(footage: Path) -> None:
    with pytest.raises(ConfigError, match=r"'footage/shot10.mp4' would replace the input 'footage/harbour.jpg'"):
        plan_jobs(["footage/shot10.mp4", "footage/harbour.jpg"], "{parent}/harbour.jpg")
