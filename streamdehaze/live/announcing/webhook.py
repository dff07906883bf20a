"""Events as JSON, posted to an address."""

from __future__ import annotations

import json
import logging
import queue
import urllib.request

from streamdehaze.address import Address
from streamdehaze.live.announcing.config import WebhookConfig
from streamdehaze.live.announcing.events import Event
from streamdehaze.live.background import Background
from streamdehaze.video.trust import client_context

log = logging.getLogger("streamdehaze.live")

_TRIES, _PAUSE_SECONDS, _PATIENCE_SECONDS = 4, 5.0, 5.0
_WAITING = 256


class Webhook(Background):
    """Posts events in a thread of its own; those that an address does not take after four tries are logged and dropped,
    and those that wait at `stop` are dropped, too.

    Args:
        config: where to.

    Raises:
        ConfigError: if the address or the certificates to trust cannot be read.
    """

    def __init__(self, config: WebhookConfig) -> None:
        super().__init__("webhook")
        self._address = Address.of(config.url)
        self._context = client_context(config.ca_file)
        self._events: queue.Queue[Event] = queue.Queue(_WAITING)

    def tell(self, event: Event) -> None:
        """Post an event as soon as possible; returns at once."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            log.error("%s: too many events wait; one is dropped", self._address.shown)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                event = self._events.get(timeout=0.2)
            except queue.Empty:
                continue
            self._post(event)

    def _post(self, event: Event) -> None:
        body = json.dumps(event.as_dict()).encode()
        headers = {"Content-Type": "application/json"}
        reason: object = ""
        for number in range(_TRIES):
            if number and self._stop.wait(_PAUSE_SECONDS):
                return
            request = urllib.request.Request(self._address.full, body, headers)
            try:
                with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS, context=self._context):
                    return
            except OSError as error:  # HTTP errors are some
                reason = error
        log.error("%s does not take an event: %s", self._address.shown, reason)
