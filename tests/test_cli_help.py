"""The command line explains itself: grouped help, nearest names, completion in the shell, and nothing heavy for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from streamdehaze import toml
from streamdehaze.cli import main
from streamdehaze.cli.parameters import seconds
from streamdehaze.live import CameraConfig, LiveConfig


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_of_every_command_is_explained(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert len(command.get_short_help_str(100)) > 10
    unexplained = [
        p.name for p in command.params if isinstance(p, click.Option) and not (p.help or "").endswith((".", "]"))
    ]
    assert unexplained == []


def test_long_helps_are_grouped_and_have_examples() -> None:
    for name in ("run", "live", "bench", "evaluate"):
        shown = CliRunner().invoke(main, [name, "--help"], terminal_width=120).output
        assert shown.count("╭─") >= 4, name
        assert f"streamdehaze {name} " in shown.partition("Examples:")[2]


def test_help_shows_the_real_defaults_of_live() -> None:
    words = {"adapt": "adapt", "latency_budget": "200ms"}
    for option in COMMANDS["live",].params:
        fields = LiveConfig.model_fields | CameraConfig.model_fields
        if isinstance(option, click.Option) and option.name in fields:
            shown = re.search(r"\[default: (.*)\]$", option.help or "")
            default = fields[option.name].default
            if shown and default is not None:
                said = seconds(shown[1]) if option.name == "latency_budget" else shown[1]
                assert said in (default, str(default), f"{default:g}" if isinstance(default, float) else None) or (
                    words.get(option.name) == shown[1]
                ), option.name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["rnu"], "run"), (["evalute"], "evaluate"), (["engine", "biuld"], "build"), (["data", "room"], "rooms")],
)
def test_a_mistyped_command_is_answered_with_the_nearest(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(main, typed)
    assert result.exit_code == 2
    assert f"there is no command '{typed[-1]}'; did you mean '{meant}'?" in result.output


def test_a_word_unlike_any_command_is_answered_with_all() -> None:
    result = CliRunner().invoke(main, ["xyzzy"])
    assert result.exit_code == 2
    assert "choose run, live, discover, join" in result.output


def completions(*words: str) -> list[tuple[str, str]]:
    """What the shell is offered as completions of the last word: type and text."""
    complete = BashComplete(main, {}, "streamdehaze", "_STREAMDEHAZE_COMPLETE")
    return [(item.type, item.value) for item in complete.get_completions([*words[:-1]], words[-1])]


FILES = ("file", "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ru"], ("plain", "run")),
        (["engine", "b"], ("plain", "build")),
        (["run", ""], FILES),
        (["run", "x.mp4", "-o", ""], FILES),
        (["run", "x.mp4", "--str"], ("plain", "--strength")),
        (["run", "x.mp4", "--checkpoint", "aecr"], ("plain", "aecrnet-m")),
        (["run", "x.mp4", "--checkpoint", ""], FILES),
        (["run", "x.mp4", "--engine", "open"], ("plain", "openvino")),
        (["run", "x.mp4", "--engine", ""], FILES),
        (["run", "x.mp4", "--codec", "libx26"], ("plain", "libx265")),
        (["run", "x.mp4", "--steady", "l"], ("plain", "low")),
        (["live", ""], FILES),
        (["train", "bundled"], ("plain", "bundled-s")),
        (["train", ""], FILES),
        (["compare", ""], FILES),
        (["checkpoint", "show", "aecrnet-"], ("plain", "aecrnet-s")),
    ],
)
def test_the_shell_completes_it(words: list[str], offered: tuple[str, str]) -> None:
    assert offered in completions(*words)


def test_bash_is_answered() -> None:
    environment = {
        **os.environ,
        "_STREAMDEHAZE_COMPLETE": "bash_complete",
        "COMP_WORDS": "streamdehaze do",
        "COMP_CWORD": "1",
    }
    program = [sys.executable, "-c", "from streamdehaze.cli import main; main(prog_name='streamdehaze')"]
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["plain,doctor"]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from streamdehaze.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'numpy', 'torch', 'cv2', 'av', 'pydantic', 'numba', 'PIL'}\n"
        "print(*heavy.intersection(sys.modules), file=sys.stderr)"
    )
    for arguments in (["--help"], ["run", "--help"], ["live", "--help"]):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
        assert done.stderr.split() == [], arguments


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("1.5", 1.5), (".5", 0.5), ("0.2s", 0.2), ("200ms", 0.2), ("1:30", 90), ("0:01:30.5", 90.5)],
)
def test_times_are_written_the_same_way_everywhere(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["soon", "1:", "-1", "1e3", "1:2:3:4", "", "200 m"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time; write 90"):
        seconds(text)


def test_other_keys_of_a_camera_are_typed_as_in_toml() -> None:
    assert toml.value("4") == 4
    assert toml.value("false") is False
    assert toml.value("0.5") == 0.5
    assert toml.value("libx265") == "libx265"
    result = CliRunner().invoke(main, ["live", "gone.mp4", "--set", "buffer_frame=4"])
    assert result.exit_code == 1
    assert "buffer_frame" in result.output
