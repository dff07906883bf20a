"""Print what the bill of materials says of the package itself, as a `pyproject.toml`."""

from __future__ import annotations

import json
from importlib import metadata

from packaging.requirements import Requirement

facts = metadata.metadata("streamdehaze")
there = {each.metadata["Name"].lower().replace("_", "-") for each in metadata.distributions()}
needed = [Requirement(line).name for line in metadata.requires("streamdehaze") or [] if "extra ==" not in line]
print("[project]")
for key, value in (
    ("name", facts["Name"]),
    ("version", facts["Version"]),
    ("license", facts["License-Expression"] or facts["License"]),
    ("dependencies", [name for name in needed if name.lower().replace("_", "-") in there]),
):
    print(f"{key} = {json.dumps(value)}")
