"""A headless Chromium for the tests of the page; they are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_PATIENCE_MILLISECONDS = 120_000
"""Timeout for anything on a page of a busy machine; Playwright's own is a quarter of it."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser, run from the system's Chromium or Chrome."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("the page is tested in Chromium, which is not installed (Debian: apt-get install chromium)")
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses to run as root
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"] if root else [])
        new_context = browser.new_context

        def patient(**options: Any) -> Any:
            context = new_context(**options)
            context.set_default_timeout(_PATIENCE_MILLISECONDS)
            return context

        browser.new_context = patient
        try:
            yield browser
        finally:
            browser.close()
