"""ONVIF: which cameras there are in the network, and where their streams are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from streamdehaze.address import without_secrets
from streamdehaze.errors import SourceError
from streamdehaze.extras import needed_for

_NAMESPACE, _TYPE = "http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"
_SCOPE = "onvif://www.onvif.org/"
_STREAM_SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class OnvifDevice:
    """A camera, or a recorder with several."""

    host: str
    port: int = 80
    name: str = ""
    """As it calls itself; empty if it does not."""
    hardware: str = ""
    """Its model."""

    @property
    def place(self) -> str:
        """Host and port, as text."""
        return self.host if self.port == 80 else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class OnvifStream:
    """One of a device's streams."""

    profile: str
    """What the device calls it."""
    url: str
    """RTSP; usually without user and password."""
    codec: str = ""
    """H264, H265, JPEG …"""
    width: int = 0
    """Pixels; 0 if unknown."""
    height: int = 0


def discover(seconds: float) -> list[OnvifDevice]:
    """Ask all devices in the network, by WS-Discovery, and gather answers for `seconds`.

    Raises:
        MissingPackageError: without the extra `onvif`.
    """
    with needed_for("ONVIF", "onvif"):
        from wsdiscovery import QName
        from wsdiscovery.discovery import ThreadedWSDiscovery

    search = ThreadedWSDiscovery()
    search.start()
    try:
        services = search.searchServices(types=[QName(_NAMESPACE, _TYPE)], timeout=seconds)
        found = [_device(service) for service in services if service.getXAddrs()]
    finally:
        search.stop()
    return sorted(found, key=lambda device: (device.host, device.port))


def streams_of(device: OnvifDevice, username: str | None, password: str | None) -> list[OnvifStream]:
    """The streams of a device's profiles, the largest first.

    Raises:
        SourceError: if it cannot be asked, or refuses.
        MissingPackageError: without the extra `onvif`.
    """
    with needed_for("ONVIF", "onvif"):
        import onvif.exceptions
        import zeep.exceptions

    try:
        found = asyncio.run(asyncio.wait_for(_streams_of(device, username, password), _PATIENCE_SECONDS))
    except asyncio.TimeoutError:
        raise SourceError(f"{device.place} did not answer within {_PATIENCE_SECONDS:g} s") from None
    except (onvif.exceptions.ONVIFError, zeep.exceptions.Error, OSError) as error:
        reason = without_secrets(str(error)) or type(error).__name__
        if "auth" in reason.lower() or "401" in reason:
            reason = "it refuses this user and password, or the lack of them"
        raise SourceError(f"{device.place} does not list its streams: {reason}") from error
    return sorted(found, key=lambda stream: stream.width * stream.height, reverse=True)


async def _streams_of(device: OnvifDevice, username: str | None, password: str | None) -> list[OnvifStream]:
    from onvif import ONVIFCamera

    # Cameras refuse signatures that are a few seconds old by their own clock. None for either fails in lxml.
    camera = ONVIFCamera(device.host, device.port, username or "", password or "", adjust_time=True)
    try:
        await camera.update_xaddrs()
        media = await camera.create_media_service()
        found = []
        for profile in await media.GetProfiles():
            video = profile.VideoEncoderConfiguration
            if video is None:
                continue
            answer = await media.GetStreamUri({"StreamSetup": _STREAM_SETUP, "ProfileToken": profile.token})
            size = video.Resolution
            width, height = (0, 0) if size is None else (int(size.Width), int(size.Height))
            found.append(OnvifStream(str(profile.Name), str(answer.Uri), str(video.Encoding), width, height))
        return found
    finally:
        await camera.close()


def _device(service: Any) -> OnvifDevice:
    address = urlsplit(service.getXAddrs()[0])
    about = {}
    for scope in map(str, service.getScopes()):
        if scope.startswith(_SCOPE):
            key, _, value = scope.removeprefix(_SCOPE).partition("/")
            about[key] = unquote(value)
    return OnvifDevice(address.hostname or "", address.port or 80, about.get("name", ""), about.get("hardware", ""))
