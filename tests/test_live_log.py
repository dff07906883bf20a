"""What the log promises: one JSON object per line, and no password in any of them."""

from __future__ import annotations

import io
import json
import logging

import pytest

from streamdehaze.cli.log import JsonFormatter, RedactingFormatter

ADDRESS = "rtsp://admin:s3cr3t@camera:554/stream?channel=1"


@pytest.fixture
def log():
    """A logger that writes to a text buffer, and that buffer."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.Logger("streamdehaze.test")
    logger.addHandler(handler)
    return logger, handler, written


def test_each_line_is_one_json_object_with_the_extras(log) -> None:
    logger, handler, written = log
    handler.setFormatter(JsonFormatter())
    logger.warning("two\nlines of %s", "text", extra={"camera": "north", "attempt": 3})
    (line,) = written.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == "two\nlines of text"
    assert (entry["level"], entry["logger"]) == ("warning", "streamdehaze.test")
    assert (entry["camera"], entry["attempt"]) == ("north", 3)
    assert entry["time"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [JsonFormatter(), RedactingFormatter("%(levelname)s %(message)s")])
def test_no_password_in_messages_extras_or_tracebacks(log, formatter: logging.Formatter) -> None:
    logger, handler, written = log
    handler.setFormatter(formatter)
    try:
        raise OSError(f"refused by {ADDRESS}")
    except OSError as error:
        logger.exception("opening %s", ADDRESS, extra={"cause": error, "tried": [ADDRESS, {"at": ADDRESS}]})
    text = written.getvalue()
    assert "refused by" in text
    assert "camera:554" in text
    assert "s3cr3t" not in text
    assert "admin" not in text
