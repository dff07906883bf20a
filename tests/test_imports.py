"""Who imports whom: downwards only, without cycles, PyAV in one folder only; and folders that a newcomer can grasp."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import streamdehaze

PACKAGE = Path(streamdehaze.__file__).parent


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(file): file for file in PACKAGE.rglob("*.py")}


def imported_by(file: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions and for type checkers only."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in FILES else str(node.module)


IMPORTS: Mapping[str, frozenset[str]] = {module: frozenset(imported_by(file)) for module, file in FILES.items()}


def below(folder: str) -> dict[str, frozenset[str]]:
    prefix = f"streamdehaze.{folder}"
    return {module: names for module, names in IMPORTS.items() if f"{module}.".startswith(f"{prefix}.")}


def test_the_walk_sees_the_package() -> None:
    assert "streamdehaze.frame" in IMPORTS["streamdehaze.video.reading.file"]
    assert "av" in IMPORTS["streamdehaze.video.reading.open"]


def test_every_folder_is_a_package_which_installations_would_lack_otherwise() -> None:
    assert not {file.parent for file in FILES.values() if not (file.parent / "__init__.py").is_file()}


def test_no_folder_has_more_than_fourteen_files() -> None:
    counts = Counter(file.parent.relative_to(PACKAGE).as_posix() for file in FILES.values())
    assert not {folder: count for folder, count in counts.items() if count > 14}


def test_pyav_is_imported_below_video_only() -> None:
    users = {module for module, names in IMPORTS.items() if any(name.split(".")[0] == "av" for name in names)}
    assert users <= set(below("video"))


@pytest.mark.parametrize(
    ("folder", "above"),
    [
        ("video", ("live", "pipeline", "compare", "cli", "bench", "dehaze")),
        ("video.picture", ("video.reading",)),
        ("video.reading", ("video.writing", "video.resume")),
        ("video.syntax", ("video.reading", "video.writing")),
        ("engine", ("dehaze", "pipeline", "live", "video")),
        ("dehaze", ("pipeline", "live", "cli")),
        ("pipeline", ("cli", "bench")),
        ("live", ("cli", "bench", "pipeline")),
        ("training", ("evaluation",)),
        ("evaluation", ("training",)),
        ("scene", ("datasets", "training", "demo")),
        ("datasets", ("training", "evaluation")),
    ],
)
def test_imports_run_downwards(folder: str, above: tuple[str, ...]) -> None:
    upwards = {
        (module, name)
        for module, names in below(folder).items()
        for name in names
        if any(f"{name}.".startswith(f"streamdehaze.{each}.") for each in above)
    }
    assert not upwards


def test_no_files_import_one_another_in_a_circle() -> None:
    inside = {module: {name for name in names if name in FILES and name != module} for module, names in IMPORTS.items()}
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_the_opening_of_sources_decides_what_ffmpeg_may_reach() -> None:
    users = {module for module, file in FILES.items() if "protocol_whitelist" in file.read_text(encoding="utf-8")}
    assert users == {"streamdehaze.video.reading.open"}


def run_by(module: str, file: Path) -> Iterator[str]:
    """Every module of ours that importing a file runs: parent packages too, but not imports inside functions."""
    nodes: list[ast.AST] = list(ast.parse(file.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.If | ast.Try | ast.With):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        for name in names:
            parts = name.split(".")
            on_the_way = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
            yield from (each for each in on_the_way if each in FILES and not f"{module}.".startswith(f"{each}."))


def test_every_module_can_be_imported_first() -> None:
    graph = {module: set(run_by(module, file)) for module, file in FILES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
