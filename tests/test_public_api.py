"""What `import streamdehaze` provides, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import streamdehaze


def test_dir_lists_the_public_names_and_each_is_there() -> None:
    names = set(streamdehaze.__all__)
    assert {"Dehazer", "StreamDehazeError", "dehaze_image", "dehaze_video", "open_sink", "open_source"} <= names
    assert names <= set(dir(streamdehaze))
    for name in names:
        assert getattr(streamdehaze, name).__module__.startswith("streamdehaze."), name


def test_importing_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, streamdehaze\n"
        "print(dir(streamdehaze), streamdehaze.StreamDehazeError, streamdehaze.__version__)\n"
        "print(*{'numpy', 'torch', 'cv2', 'av', 'click', 'pydantic'}.intersection(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
