"""Recipes: those in the repository are valid, and errors in one are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdehaze.engine import open_engine, read_recipe
from streamdehaze.errors import ConfigError

RECIPES = sorted((Path(__file__).parents[1] / "engines").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_repository_is_valid_and_says_what_it_is_for(path: Path) -> None:
    assert read_recipe(path).description
    assert path.name in (path.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('engine = "openvino"\nshape = { width = 250, height = 144 }', "shape.width: .*multiple of 4"),
        ('engine = "openvino"\nprecission = "float16"', "unknown key 'precission'; did you mean 'precision'"),
        (
            'enginee = "openvino"\nprecision = "int7"',
            "unknown key 'enginee'; did you mean 'engine'.*; engine: it is missing; precision: .*not 'int7'",
        ),
        ('engine = "openvino"\n[openvino]\nstreams = 2', "unknown key 'openvino.streams'"),
        ('engine = "tensorflow"', "engine: "),
        ('engine = "onnxruntime"\nprecision = "int8"', "not int8"),
        ('engine = "onnxruntime"\n[openvino]\nmode = "latency"', r"no table \[openvino\]"),
        ('engine = "tensorrt"\nprecision = "bfloat16"', "not bfloat16"),
        ('engine = "openvino"\ndeformable = "torchvision"', "deformable: .*'grid' or 'native'"),
        ('engine = "openvino"\n[tensorrt]\ncontexts = 2', r"no table \[tensorrt\]"),
        ('engine = "tensorrt"\n[tensorrt]\nmin_shape = { width = 64, height = 64 }', "belong together"),
        (
            'engine = "tensorrt"\n[tensorrt]\nmin_shape = { width = 64, height = 64 }\n'
            "max_shape = { width = 32, height = 64 }",
            "larger than max_shape in its width",
        ),
        ("engine = ", "is not TOML"),
        ("", "engine: it is missing"),
    ],
)
def test_errors_in_a_recipe_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"mine.toml.*{said}"):
        read_recipe(path)
    with pytest.raises(ConfigError, match=said):
        open_engine("aecrnet-s", str(path))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no recipe .*gone\.toml"):
        read_recipe(tmp_path / "gone.toml")
