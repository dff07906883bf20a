"""One exception per thing a user can get wrong; each message says what, where, and what to do."""


class StreamDehazeError(Exception):
    """Base of every error this package raises on purpose. Its text is one sentence, fit to print as it is."""


class SourceError(StreamDehazeError):
    """The input cannot be read: missing, empty, damaged, or not a picture or video."""


class SinkError(StreamDehazeError):
    """The output cannot be written: exists already, no such encoder, no space, no permission."""


class UnsupportedFormatError(StreamDehazeError):
    """A pixel format, matrix or container this package does not handle."""


class CheckpointError(StreamDehazeError):
    """A checkpoint is unknown, damaged, unsafe to load, or does not fit the network."""


class EngineError(StreamDehazeError):
    """An inference engine is unavailable or returned an unusable result."""


class ConfigError(StreamDehazeError):
    """An option or configuration value is out of range or contradicts another."""


class MissingPackageError(StreamDehazeError):
    """An optional package is not installed; the text has the command that installs it."""


class ResourceError(StreamDehazeError):
    """The work needs more memory than it may have."""


class TrainingError(StreamDehazeError):
    """Training cannot continue: the loss is not finite, or its state cannot be written."""


class Cancelled(StreamDehazeError):  # noqa: N818 (not an error: the user asked for it)
    """The work was stopped from outside (Ctrl-C, SIGTERM, or a stop event)."""


def own_error(error: BaseException, what: str) -> StreamDehazeError:
    """The error itself if it is one of this package's, else one that says what failed, and how."""
    if isinstance(error, StreamDehazeError):
        return error
    wrapped = StreamDehazeError(f"{what} failed: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def counted(count: int, noun: str) -> str:
    """How many there are, as text: "1 frame", "2 frames"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def first_line(error: BaseException) -> str:
    """What a library's error says, without the lines of detail; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
