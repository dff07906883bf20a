"""The lists in requirements/ are those of setup.cfg."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lines(text: str) -> set[str]:
    return {line for line in text.strip().splitlines() if line and not line.startswith(("#", "-r"))}


@pytest.mark.parametrize(("file", "extras"), [("light.txt", ["openvino"]), ("light-live.txt", ["live"])])
def test_the_light_list_is_everything_but_torch(file: str, extras: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = set().union(*(lines(setup["options.extras_require"][extra]) for extra in extras))
    if file == "light.txt":
        required = lines(setup["options"]["install_requires"])
        (torch,) = (line for line in required if line.startswith("torch"))
        wanted |= required - {torch}
    assert lines((ROOT / "requirements" / file).read_text(encoding="utf-8")) == wanted
