"""Runs commands in a process that sees only what a plain installation contains; see `test_bare_environment.py`.

    python bare_environment.py [--without NAME,…] FOLDER < commands.json

Commands are lists of words; prints one line of JSON for each: exit code, output, and the traceback if there was one.
"""

from __future__ import annotations

import configparser
import importlib.machinery
import json
import logging
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType


def visible_distributions(without: Sequence[str]) -> set[str]:
    """Normalised names of all distributions that are installed with the package without extras."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")  # newer than the metadata, which an installation wrote
    found = {"streamdehaze"}
    waiting = [Requirement(line) for line in setup["options"]["install_requires"].strip().splitlines()]
    while waiting:
        wanted = waiting.pop()
        name = str(canonicalize_name(wanted.name))
        if name in found or name in without:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for line in lines:
            requirement = Requirement(line)
            extras = [*wanted.extras, ""]
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(requirement)
    return found


def hide_others(visible: set[str]) -> None:
    """Hide modules and metadata of other distributions from now on."""
    from packaging.utils import canonicalize_name

    owners = metadata.packages_distributions()
    hidden = {
        module for module, names in owners.items() if not any(canonicalize_name(name) in visible for name in names)
    }

    class Finder(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(
            cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            if path is None and fullname in hidden:
                return None
            return super().find_spec(fullname, path, target)

        @staticmethod
        def find_distributions(context: metadata.DistributionFinder.Context = metadata.DistributionFinder.Context()):  # type: ignore[no-untyped-def] # noqa: B008
            for found in importlib.machinery.PathFinder.find_distributions(context):
                if canonicalize_name(found.metadata["Name"]) in visible:
                    yield found

    sys.meta_path = [Finder if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
    for module in [name for name in sys.modules if name.partition(".")[0] in hidden]:
        del sys.modules[module]
    importlib.invalidate_caches()


def main() -> None:
    without = sys.argv[2].split(",") if sys.argv[1] == "--without" else []
    os.chdir(sys.argv[-1])
    commands = json.load(sys.stdin)
    hide_others(visible_distributions(without))

    from click.testing import CliRunner

    from streamdehaze.cli import main as streamdehaze

    for command in commands:
        logging.getLogger("streamdehaze").handlers.clear()
        result = CliRunner().invoke(streamdehaze, command)
        error = result.exception
        fault = None if error is None or isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        print(json.dumps([result.exit_code, result.output, fault]), flush=True)


if __name__ == "__main__":
    main()
