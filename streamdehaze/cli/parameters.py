"""Kinds of parameters that several commands take, with their completion in the shell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import rich_click as click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from streamdehaze.address import without_secrets
from streamdehaze.control.times import parse_seconds
from streamdehaze.errors import ConfigError

if TYPE_CHECKING:
    from streamdehaze.control.color import Color
    from streamdehaze.control.keyframes import Keyframes


_Value = TypeVar("_Value")


class Name(StringParamType):
    """A text that the shell completes to known names, and to files.

    Args:
        name: of the kind, for the help: "checkpoint".
        known: the names; called only to complete them.
        files: whether a file may be meant, too.
    """

    def __init__(self, name: str, known: Callable[[], Iterable[str]] = tuple, *, files: bool = True) -> None:
        self.name, self._known, self._files = name, known, files

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known names that begin so; the shell adds files."""
        found = [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")] if self._files else found


def _checkpoints() -> Iterable[str]:
    from streamdehaze.network import list_checkpoints

    return list_checkpoints()


def _engines() -> Iterable[str]:
    from streamdehaze.engine import ENGINES

    return ENGINES


def _kept_engines() -> Iterable[str]:
    from streamdehaze.engine import EngineCache

    return [Path(record.file).stem for record in EngineCache().records()]


def _encoders() -> Iterable[str]:
    from streamdehaze.video.writing.encoding.codecs import ENCODERS

    return ("auto", *ENCODERS)


def _recipes() -> Iterable[str]:
    from streamdehaze.training.config import RECIPES

    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _presets() -> Iterable[str]:
    from streamdehaze.control.preset import preset_names

    return preset_names()


class LocalPath(click.Path):
    """A path of this machine: an address would lose a slash and become the name of a file that is missing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; an address is refused."""
        if isinstance(value, str) and re.match(r"[A-Za-z][\w+.-]+://", value):
            self.fail(f"'{without_secrets(value)}' is an address; this takes files of this machine only.", param, ctx)
        return super().convert(value, param, ctx)


PATH = LocalPath(path_type=Path)
FILE = LocalPath(dir_okay=False, path_type=Path)
TEXT_FILE = LocalPath(dir_okay=False, allow_dash=True, path_type=Path)
"""A file to write, or "-" for standard output."""
INPUT = Name("path")
"""A file, or what stands for one: an address, a pattern, "-"."""
CHECKPOINT = Name("checkpoint", _checkpoints)
"""A bundled checkpoint's name, or a file."""
ENGINE = Name("engine", _engines)
"""An engine's name, or a recipe's file."""
KEPT_ENGINE = Name("name", _kept_engines, files=False)
"""An engine that is in the cache."""
ENCODER = Name("encoder", _encoders, files=False)
"""One of FFmpeg's encoders."""
TRAINING = Name("config", _recipes)
"""A training recipe's name, or a file."""
PRESET = Name("preset", _presets)
"""A preset's name, or a file."""


def _parsed(parse: Callable[[str], _Value], text: str) -> _Value:
    try:
        return parse(text)
    except ConfigError as error:
        raise click.BadParameter(f"{error}.") from error


def seconds(text: str) -> float:
    """Seconds of "90", "1.5", "0.2s", "200ms", "1:30" or "0:01:30.5"."""
    return _parsed(parse_seconds, text)


def take_preset(ctx: click.Context, param: click.Parameter, name: str | None) -> None:
    """Let a preset's values be the defaults of the options that are not given."""
    if name is not None:
        from streamdehaze.control.preset import read_preset

        ctx.default_map = {**(ctx.default_map or {}), **read_preset(name)}


def strength(text: str) -> float | Keyframes:
    """A strength, keyframes of it, or what a file of keyframes holds."""
    from streamdehaze.control.keyframes import parse_strength

    return _parsed(parse_strength, text)


def color(text: str) -> Color:
    """A colour."""
    from streamdehaze.control.color import parse_color

    return _parsed(parse_color, text)


def point(text: str) -> tuple[float, float, float]:
    """X and Y of a pixel, and seconds."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or not (parts[0].isdecimal() and parts[1].isdecimal()):
        raise click.BadParameter(f"'{text}' is not X,Y or X,Y,TIME; write 320,40 or 320,40,12.5.")
    return int(parts[0]), int(parts[1]), seconds(parts[2]) if len(parts) == 3 else 0.0


def times(text: str) -> tuple[float, ...]:
    """Seconds with commas between them."""
    return tuple(seconds(each.strip()) for each in text.split(","))


def size_bytes(text: str) -> int:
    """Bytes of "800M", "1.5G", "2GiB" or "1000000000"; the letters stand for powers of 1024."""
    from streamdehaze.toml import size_of  # imports pydantic

    try:
        return size_of(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def key_value(text: str) -> tuple[str, str]:
    """An option's key and value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"'{text}' is not KEY=VALUE; write tune=film, say.")
    return key, value


def picture_size(text: str) -> tuple[int, int]:
    """Width and height, as in "256x144"."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise click.BadParameter(f"'{text}' is not WIDTHxHEIGHT; write 256x144.")
    return int(width), int(height)


def part_of(text: str) -> tuple[int, int]:
    """A part of several, as in "2/5"."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"'{text}' is not a part of several; write 1/5 to 5/5 for the parts of five.")
    return int(number), int(count)


def frames_a_second(text: str) -> Fraction:
    """A frame rate: "24", "29.97" (which is 30000/1001) or "30000/1001"."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"'{text}' is not a frame rate; write 24, 29.97 or 30000/1001.") from None
    if not 0 < rate <= 1000:
        raise click.BadParameter(f"'{text}' is not a frame rate; write a number above 0, and at most 1000.")
    of_television = Fraction(round(rate) * 1000, 1001)
    return of_television if rate != round(rate) and abs(rate - of_television) < Fraction(1, 100) else rate


def stream_number(text: str) -> int | Literal["all"]:
    """The number of a stream, or "all"."""
    if text == "all":
        return "all"
    if not text.isdecimal():
        raise click.BadParameter(f"'{text}' is not the number of a stream; write 0, 1, … or all.")
    return int(text)


def every(text: str) -> int | Literal["auto"]:
    """A count of frames, or "auto"."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"'{text}' is neither a number of frames nor auto; write 1, 2, … or auto.")
    return int(text)


_Command = TypeVar("_Command", bound=Callable[..., None])


Option = Callable[[Any], Any]
"""What `click.option` returns."""


def panel(title: str, *options: Option) -> Callable[[_Command], _Command]:
    """Options that the help shows together, under a title and in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            option(command)
            vars(command)["__click_params__"][-1].panel = title
        return command

    return decorate


@dataclass(frozen=True)
class Shared:
    """An option that several commands take: one name, type, default and help."""

    name: str
    help: str
    type: click.ParamType[Any] | Callable[[str], object] | None = None
    default: str | int | None = None
    metavar: str | None = None

    def __call__(self, command: _Command) -> _Command:
        """Decorate a command with the option."""
        return self.option()(command)

    def option(self, *, default: str | None = None, help: str | None = None) -> Callable[[_Command], _Command]:
        """The option with another default or help."""
        return click.option(self.name, type=self.type, metavar=self.metavar, help=help or self.help,
            default=self.default if default is None else default)  # fmt: skip

    def unless_given(self, *, default: str | None = None, help: str | None = None) -> Callable[[_Command], _Command]:
        """The option as None where it is not given, for something else to decide; the help has the `default`."""
        text = f"{help or self.help}  [default: {default or self.default}]"
        return click.option(self.name, type=self.type, metavar=self.metavar, help=text)


STEADY = Shared(
    "--steady",
    "Smooth dehazing over time to reduce flicker.",
    click.Choice(["off", "low", "high"]),
)
NETWORK = Shared("--checkpoint", "A bundled checkpoint's name, or a file.", CHECKPOINT, "aecrnet-s")
MODE = Shared(
    "--mode",
    "auto removes haze only where it is measured and leaves clear frames unchanged, bit for bit.",
    click.Choice(["on", "auto", "off"]),
    "on",
)
AIRLIGHT = Shared(
    "--airlight",
    "Tint of the haze: keep it, make it neutral, or (auto) neutralize strong tints such as sand.",
    click.Choice(["auto", "keep", "neutral"]),
    "auto",
)
AIRLIGHT_COLOR = Shared(
    "--airlight-color",
    "The haze's colour, where it is known: #c8b48c, or 200,180,140.  [default: estimated]",
    color,
    metavar="COLOR",
)
BRIGHTNESS = Shared(
    "--brightness",
    "Keep the brightness of the hazy frames, or let them darken as the haze goes.",
    click.Choice(["keep", "natural"]),
    "keep",
)
NETWORK_SIZE = Shared("--network-size", "Long side of the small picture that the network sees, pixels.", click.INT, 256)
EVERY = Shared(
    "--every",
    "Run the network on every K-th frame, or as often as needed (auto), and blend its maps in between.",
    every,
    metavar="K",
)
RUNTIME = Shared("--engine", "auto, torch, openvino, onnxruntime, tensorrt, or a recipe (.toml).", ENGINE, "auto")
BATCH_SIZE = Shared("--batch-size", "Frames per run of the network.", click.IntRange(min=1))
START = Shared("--start", "Start here (90, 1.5s, 0:01:30).", seconds, metavar="TIME")
END = Shared("--end", "End here.", seconds, metavar="TIME")
RECURSIVE = click.option("--recursive", is_flag=True, help="Include folders inside folders.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
