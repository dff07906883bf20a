"""Log lines for machines to read, and none with a password in it."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any

from streamdehaze.address import without_secrets

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RedactingFormatter(logging.Formatter):
    """Plain lines, tracebacks included, in which no address shows its credentials or query."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, and whatever `extra` a call added.

    A traceback is one string under "traceback". No address in any of it shows its credentials.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(_redacted(line), ensure_ascii=False, default=str)


def send_log_to(handler: logging.Handler, *, quiet: bool, verbose: bool, usual: int) -> None:
    """Send the package's log to one place: from errors on if quiet, all of it if verbose, else from `usual` on."""
    package = logging.getLogger("streamdehaze")
    package.handlers = [handler]
    package.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else usual)
    package.propagate = False


def _redacted(value: Any) -> Any:
    """Every string inside without credentials; what is not JSON as text, so that nothing is hidden in it."""
    if isinstance(value, dict):
        return {str(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_secrets(str(value))
