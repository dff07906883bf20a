"""The documents: what they link to exists, and the reference has every public name."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import conftest
import streamdehaze
from streamdehaze.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")) if path.is_file()
)
OPTIONS_OF_OTHERS = {
    "--index-url", "--no-deps", "--no-binary", "--system-site-packages", "--build-arg", "--array", "--cpus-per-task",
    "--dependency", "--requeue",
}  # fmt: skip
"""Those of pip, venv, Docker and Slurm."""


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_are_not_broken(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(path))
    missing = [t for t in targets if "://" not in t and not (path.parent / t.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_the_documents_name_exist(path: Path) -> None:
    names = re.findall(r"`((?:streamdehaze|tests|docs|examples|engines|benchmarks)/[\w./-]*)`", prose(path))
    missing = [name for name in names if not (ROOT / name).exists()]
    assert missing == []


def test_the_reference_has_every_public_name() -> None:
    reference = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^::: streamdehaze\.(\w+)$", reference, flags=re.MULTILINE))
    assert set(streamdehaze.__all__) - {"StreamDehazeError"} <= documented
    assert "errors" in documented


def test_every_page_is_in_the_navigation_and_in_llms_txt() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages <= set(re.findall(r'"(\w+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    listed = re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8"))
    assert set(listed) == pages - {"index.md"}


def test_every_option_that_the_pages_name_is_one_we_have() -> None:
    commands: list[click.Command] = [main]
    options = {"--help"}
    for benchmark in (ROOT / "benchmarks").glob("*.py"):
        options |= set(re.findall(r'add_argument\("(--[a-z-]+)"', benchmark.read_text(encoding="utf-8")))
    while commands:
        command = commands.pop()
        options |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        if isinstance(command, click.Group):
            context = click.Context(command)
            commands += [
                found for name in command.list_commands(context) if (found := command.get_command(context, name))
            ]
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8")))
        assert named - options - OPTIONS_OF_OTHERS == set(), page.name


def test_the_quick_topics_are_there() -> None:
    topics = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert conftest.QUICK - topics == set()


@pytest.mark.parametrize("folder", [".", "docs", "examples", "benchmarks", "streamdehaze"])
def test_no_page_installs_the_package_by_a_name_on_an_index_that_is_not_ours(folder: str) -> None:
    """Until the package is published, its name belongs to whoever registers it first."""
    files = (ROOT / folder).glob("*.md") if folder == "." else (ROOT / folder).rglob("*")
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in files if path.is_file()]
    commands = re.findall(r"(?:pip3?|pipx|uv tool|uv) install[^\n`]*|uv add[^\n`]*|uvx[^\n`]*", "\n".join(texts))
    assert commands
    assert [each for each in commands if re.search(r"[ '\"]streamdehaze\b(?![/.])", each)] == []
