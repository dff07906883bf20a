"""From the command line's inputs to the list of jobs: which files to read, and the name of each result."""

from __future__ import annotations

import glob
import logging
import os
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from streamdehaze.address import scheme_of, without_secrets
from streamdehaze.durable import require_folders
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.pipeline.sharing.staging import in_store, matching, name_of, parent_of
from streamdehaze.video.picture import PICTURE_SUFFIXES, is_picture
from streamdehaze.video.picture.film import FILM_SUFFIXES
from streamdehaze.video.picture.pattern import is_sequence, natural_order, sequences_of
from streamdehaze.video.reading.open import Kind, what_is

log = logging.getLogger("streamdehaze")

STANDARD_STREAM = "-"
"""Standard input as an input, standard output as an output."""

VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        "3g2", "3gp", "apng", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "h264", "h265", "264", "265", "hevc",
        "ivf", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "obu",
        "ogv", "ts", "vob", "webm", "wmv", "y4m",
    )
)  # fmt: skip
"""Lower-case extensions of videos in a folder; a file given by name is tried whatever its extension."""

_OUR_MARKS = (".clear", ".part", ".clear.preview")


@dataclass(frozen=True)
class Input:
    """One thing to read: a file, an image sequence, a URL, or standard input."""

    path: str
    """As it is opened: a path, "-", or a URL."""
    below: PurePath = field(default_factory=PurePath)
    """Its place below the folder that was given; empty for what was given by name."""


@dataclass(frozen=True)
class Job:
    """One thing to read and the name of its result."""

    input: str
    """A path, an image sequence such as "frames/%05d.png", a URL, or "-"."""
    output: str
    """A path, an image sequence, or "-"."""

    @property
    def shown(self) -> str:
        """The input as it may be shown: an address without its secrets."""
        return without_secrets(self.input)


def plan_jobs(inputs: Sequence[str], output: str | None = None, *, recursive: bool = False) -> list[Job]:
    """What to read and what to call the results.

    A file that is given by name but missing becomes a job too, so that it fails alone when it is opened.
    Folders of results that have names of their own need not be there.

    Args:
        inputs: files, folders, globs, image sequences ("frames/%05d.png"), URLs, "-".
        output: a file (for one input), a folder (an existing one, or ending in "/"), a pattern with {stem},
            {suffix}, {name} or {parent}, an image sequence, or "-"; by default NAME.clear.EXT next to each input.
        recursive: take the folders inside folders too.

    Raises:
        SourceError: if there is nothing to read.
        ConfigError: if the outputs cannot be named, two inputs would share one, or the folder of a file is missing.
    """
    found = expand_inputs(inputs, recursive=recursive)
    if output is not None and len(found) > 1 and _is_one_file(output):
        raise ConfigError(
            f"the output '{output}' is one file, but there are {len(found)} inputs; "
            "give a folder ('out/') or a pattern ('out/{stem}.clear{suffix}')"
        )
    jobs = [Job(each.path, output_path(each, output)) for each in found]
    _refuse_clashes(jobs)
    _name_sequences(jobs)
    if output is not None and _is_one_file(output) and not scheme_of(output) and not is_sequence(output):
        require_folders(Path(output))
    return jobs


def expand_inputs(inputs: Sequence[str], *, recursive: bool = False) -> list[Input]:
    """Every single thing to read, each once, folders and globs in natural order (2 before 10).

    Our own results (NAME.clear.EXT, NAME.clear.preview.jpg, NAME.part.EXT) are left out of folders and globs, and
    elsewhere when the file they were made from is an input too: the shell's `*.mp4` names both.

    Raises:
        SourceError: if there is nothing to read.
    """
    found: dict[str, Input] = {}
    passed_over: list[Path] = []
    for typed in inputs:
        for each in _expand(os.fspath(typed), recursive, passed_over):
            found.setdefault(_identity(each.path), each)
    if found and passed_over:
        _name_passed_over(passed_over)
    for each in list(found.values()):
        path = Path(each.path)
        if _is_ours(path) and _identity(str(path.with_name(_without_marks(path)))) in found:
            log.info("'%s' is left out: it was made from another input", path)
            del found[_identity(each.path)]
    _refuse_nothing(inputs, list(found.values()))
    return list(found.values())


def output_path(source: Input | str | os.PathLike[str], output: str | None = None) -> str:
    """The name of the result of one input; see `plan_jobs` for what `output` may be.

    An image sequence keeps its number: "frames/%05d.png" becomes "frames/%05d.clear.png".

    Raises:
        ConfigError: for an unknown placeholder, or where the input has no name to make one from.
    """
    source = source if isinstance(source, Input) else Input(os.fspath(source))
    if output == STANDARD_STREAM or (output is None and source.path == STANDARD_STREAM):
        return STANDARD_STREAM
    if output is not None and _is_one_file(output):
        return output
    path = _named(source.path)
    suffix = path.suffix or (".png" if is_picture(path) else ".mkv")
    result = f"{path.stem}.clear{suffix}"
    if output is None:
        return f"{parent_of(source.path)}/{result}" if in_store(source.path) else str(path.parent / result)
    if "{" in output or "}" in output:
        values = {"stem": path.stem, "suffix": suffix, "name": path.name, "parent": str(path.parent)}
        filled = _fill(output, values)
        return _below(filled, result) if _is_folder(filled) else filled
    return _below(output, source.below / result)


def _below(folder: str, name: str | PurePath) -> str:
    return f"{folder.rstrip('/')}/{PurePath(name).as_posix()}" if in_store(folder) else str(Path(folder) / name)


def _expand(typed: str, recursive: bool, passed_over: list[Path]) -> Iterator[Input]:
    if in_store(typed) and (glob.has_magic(typed) or typed.endswith("/")):
        yield from _glob_in_store(typed, recursive)
    elif typed and _is_plain_path(typed) and not os.path.exists(typed) and glob.has_magic(typed):
        yield from _glob(typed)
    elif os.path.isdir(typed):
        media = list(_walk(Path(typed), recursive, passed_over))
        yield from media or [Input(typed)]
    else:
        yield Input(typed)


def _glob(pattern: str) -> Iterator[Input]:
    """Files that match; videos and pictures only, unless the pattern itself has an extension."""
    any_kind = PurePath(pattern).suffix != "" and not glob.has_magic(PurePath(pattern).suffix)
    files = [Path(name) for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)]
    wanted = [path for path in files if not _is_ours(path) and (any_kind or _is_media(path))]
    yield from [Input(str(path)) for path in sorted(wanted, key=natural_order)] or [Input(pattern)]


def _glob_in_store(typed: str, recursive: bool) -> Iterator[Input]:
    """Addresses that match, or that are in a folder ("s3://bucket/films/")."""
    pattern = typed + ("**" if recursive else "*") if typed.endswith("/") else typed
    found = sorted((name_of(each), each) for each in matching(pattern))
    wanted = [(path, each) for path, each in found if _is_media(Path(path)) and not _is_ours(Path(path))]
    if not wanted:
        raise SourceError(f"there is no video or picture at '{typed}'")
    folder = name_of(typed) if typed.endswith("/") else None
    yield from (Input(each, path.relative_to(folder).parent if folder else PurePath()) for path, each in wanted)


def _walk(folder: Path, recursive: bool, passed_over: list[Path]) -> Iterator[Input]:
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=natural_order)
    for entry in entries:
        if not entry.is_file() or _is_ours(entry):
            continue
        if _is_media(entry):
            yield Input(str(entry))
        else:
            passed_over.append(entry)
    for entry in entries:
        if recursive and entry.is_dir() and not entry.is_symlink():
            for each in _walk(entry, recursive, passed_over):
                yield Input(each.path, PurePath(entry.name) / each.below)


def _name_sequences(jobs: Sequence[Job]) -> None:
    """Report frames of films that are worked on as photos; photos are numbered, too, and are not frames of films."""
    frames = (Path(job.input) for job in jobs if PurePath(job.input).suffix.lower() in FILM_SUFFIXES)
    for pattern, count in sequences_of(frames).items():
        log.warning("%d frames are made clear one by one; to have them smoothed over time, give '%s'", count, pattern)


def _name_passed_over(files: Sequence[Path]) -> None:
    """Report how many files in folders are left out, by extension; the detailed log names each."""
    kinds = Counter(path.suffix.lower() or "no extension" for path in files)
    counted = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common())
    what = "1 file in folders is" if len(files) == 1 else f"{len(files)} files in folders are"
    log.warning("%s left out for a name that no video or photo has: %s", what, counted)
    for path in files:
        log.info("'%s' is left out", path)


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES


def _is_ours(path: Path) -> bool:
    return path.stem.endswith(_OUR_MARKS)


def _without_marks(path: Path) -> str:
    stem = path.stem
    while stem.endswith(_OUR_MARKS):
        stem = stem[: stem.rindex(".")]
    return stem + path.suffix


def _is_plain_path(text: str) -> bool:
    return text != STANDARD_STREAM and what_is(text) is not Kind.STREAM and not is_sequence(text)


def _identity(path: str) -> str:
    return os.path.normcase(os.path.realpath(path)) if _is_plain_path(path) else path


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _is_one_file(output: str) -> bool:
    return not _is_folder(output) and "{" not in output and "}" not in output


def _named(path: str) -> Path:
    """The input's path, or for a URL the file name at its end."""
    if path == STANDARD_STREAM:
        raise ConfigError("standard input has no name to make the output's from; name the output with -o")
    if in_store(path):
        return Path(name_of(path))
    if what_is(path) is not Kind.STREAM:
        return Path(path)
    name = PurePath(urlsplit(path).path).name
    if not _is_media(Path(name)):
        raise ConfigError("a live stream has no file name to make the output's from; name the output with -o")
    return Path(name)


def _fill(pattern: str, values: dict[str, str]) -> str:
    known = "it can use " + ", ".join(f"{{{name}}}" for name in values)
    try:
        fields = [field for field in string.Formatter().parse(pattern) if field[1] is not None]
    except ValueError as error:
        raise ConfigError(f"the output pattern '{pattern}' has a brace without its partner; {known}") from error
    for _, name, form, conversion in fields:
        if name not in values or form or conversion:
            wrong = f"{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}"
            raise ConfigError(f"the output pattern '{pattern}' has the unknown placeholder {{{wrong}}}; {known}")
    return pattern.format(**values)


def _refuse_nothing(typed: Sequence[str], found: Sequence[Input]) -> None:
    """Refuse inputs that are only empty folders, or one glob without a match.

    Among other inputs they stay in the list instead, and fail alone when they are opened.
    """
    names = ", ".join(f"'{each}'" for each in typed)
    if not found:
        raise SourceError("no input was given")
    if all(os.path.isdir(each.path) for each in found):
        raise SourceError(f"there is no video or picture in {names}")
    only = found[0].path
    if len(found) == 1 and _is_plain_path(only) and glob.has_magic(only) and not os.path.exists(only):
        raise SourceError(f"no file matches {names}")


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    """Refuse two results under one name, and a result under the name of another input."""
    read = {_identity(job.input): job.input for job in jobs}
    written: dict[str, str] = {}
    for job in jobs:
        if job.output == STANDARD_STREAM:
            continue
        name = _identity(job.output)
        if name in written:
            both = f"'{without_secrets(written[name])}' and '{job.shown}'"
            raise ConfigError(f"{both} would both be written to '{job.output}'")
        if name in read and read[name] != job.input:
            raise ConfigError(f"the result of '{job.shown}' would replace the input '{read[name]}'")
        written[name] = job.input
