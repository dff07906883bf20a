"""The matrix of Pythons and PyAVs that have branches of their own: `nox` runs those whose interpreter is installed.

    nox                              all of them, the quick tests
    nox -s "tests(3.13, PyAV 19)"    one
    nox -- tests/test_timestamps.py  other tests

Each environment holds everything with its extras. PyPI's torch for Linux brings 6 GB of CUDA; where there is no NVIDIA
GPU, let pip find PyTorch's CPU wheels first.
"""

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

# PyAV 18 needs Python 3.11, PyAV 19 Python 3.12. 18.0 cannot put the parameters of a filter into every stream.
MATRIX = [("3.10", "17"), ("3.11", "18.0"), ("3.11", "18"), ("3.13", "17"), ("3.13", "19"), ("3.14", "19")]


@nox.session
@nox.parametrize(("python", "av"), MATRIX, ids=[f"{python}, PyAV {av}" for python, av in MATRIX])
def tests(session: nox.Session, av: str) -> None:
    """Run the quick tests, or those named after `--`."""
    session.install("--editable", ".[dev]", f"av=={av}.*")
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", "quick"]))
