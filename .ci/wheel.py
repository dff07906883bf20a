"""Check what `make wheel` built: everything of the package is in it and nothing else, its size, and its version."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

MOST_BYTES = 12_000_000


def git(*arguments: str) -> list[str]:
    """Lines of git's answer."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.splitlines()


def main() -> None:
    (wheel,) = Path("dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = {name for name in git("ls-files", "streamdehaze") if not name.endswith(".gitignore")}
    faults = [f"missing: {name}" for name in sorted(tracked - packed)]
    faults += [f"not of the package: {name}" for name in sorted(packed - tracked)]
    if wheel.stat().st_size > MOST_BYTES:
        faults.append(f"{wheel.stat().st_size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} are allowed")
    version = wheel.name.split("-")[1]
    if (tags := git("tag", "--points-at", "HEAD")) and f"v{version}" not in tags:
        faults.append(f"the version is {version}, but this commit has the tag {', '.join(tags)}")
    if faults:
        sys.exit("\n".join([f"{wheel}:", *faults]))
    print(f"{wheel}: {len(packed)} files, {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
