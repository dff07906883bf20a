"""Parameters that an encoder takes many of in one text, such as `x264-params`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

import av.logging

from streamdehaze.errors import SinkError

_REFUSED = re.compile(
    r"(?:Error parsing option|Unknown option:|Invalid value for|[Bb]ad (?:option|value for)) '?([^\s':]+)"
)
"""How FFmpeg's wrappers of x264, x265 and SVT-AV1 name a parameter that the library does not take; most only warn."""
_NO_PAIRS = re.compile(r"Error setting option (\S+-params) to value")


def add_parameter(options: dict[str, str], name: str, parameter: str) -> None:
    """Put one more parameter into an option; of several values of one parameter, the last one counts."""
    given = options.get(name)
    options[name] = f"{given}:{parameter}" if given else parameter


@contextlib.contextmanager
def refusing_parameters(encoder: str, given: Mapping[str, str]) -> Iterator[None]:
    """Open `encoder` inside, with the options that were `given` among its own; others may only be tried out meanwhile.

    Raises:
        SinkError: if the library does not take one of the parameters in such an option.
    """
    if not given:
        yield
        return
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)  # the same mistake may be made twice
    try:
        with av.logging.Capture(local=False) as lines:
            yield
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
    pairs = {pair.partition("=")[0].strip(): (name, pair) for name, text in given.items() for pair in text.split(":")}
    for _, _, line in lines:
        if (refused := _REFUSED.match(line)) and (key := refused[1].rstrip(".")) in pairs:
            name, pair = pairs[key]
            raise SinkError(
                f"the encoder {encoder} does not take '{pair}' in --encoder-option {name}; "
                "correct its name or value, or leave it out"
            )
        if (unpaired := _NO_PAIRS.match(line)) and unpaired[1] in given:
            raise SinkError(
                f"--encoder-option {unpaired[1]} takes KEY=VALUE pairs with colons between them, "
                f"such as keyint=50:bframes=2, not '{given[unpaired[1]]}'"
            )
