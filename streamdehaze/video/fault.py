"""Why a camera or a sink cannot be opened, read or written: FFmpeg's and the network's errors as one sentence."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace

import av.error

from streamdehaze.address import Address, without_secrets
from streamdehaze.errors import SourceError, StreamDehazeError, UnsupportedFormatError
from streamdehaze.video.trust import UntrustedError

_REMEDY = "PyAV's wheels leave some protocols out; 'pip install --no-binary av av' takes the system's FFmpeg"

_SCHEMES_WITH_HOSTS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp"})


@dataclass(frozen=True)
class Fault:
    """What went wrong, and whether trying again soon can help."""

    kind: str
    """One word for metrics: unauthorized, untrusted, not_found, refused, unknown_host, unsupported, full, silent, lost,
    broken."""
    message: str
    """One sentence without secrets."""
    permanent: bool = False
    """Trying again does not help until something has changed there."""


class UnknownHostError(StreamDehazeError):
    """The name of the host has no address."""


def look_up(address: Address) -> None:
    """Resolve the host's name, because FFmpeg reports an unknown host as an input/output error.

    Raises:
        UnknownHostError: if it cannot be resolved.
    """
    if address.host is None or address.scheme not in _SCHEMES_WITH_HOSTS:
        return
    try:
        socket.getaddrinfo(address.host, None)
    except OSError as error:
        raise UnknownHostError(f"the host '{address.host}' is not known here") from error


def silence(address: Address, seconds: float) -> Fault:
    """No frame came from a camera that is open."""
    remedy = "; raise stall_seconds if it is that slow"
    return Fault("silent", f"no frame came from {address.shown} for {seconds:g} s{remedy}")


def fault_of(error: BaseException, address: Address, *, timeout: float) -> Fault:
    """The fault that caused an exception while opening, reading or writing `address`."""
    shown = address.shown
    if isinstance(error, SourceError) and error.__cause__ is not None:
        return replace(fault_of(error.__cause__, address, timeout=timeout), message=str(error))
    if isinstance(error, SourceError | UnsupportedFormatError):
        return Fault("unsupported", str(error), permanent=True)
    if isinstance(error, UntrustedError):
        return Fault("untrusted", str(error), permanent=True)
    if isinstance(error, UnknownHostError):
        return Fault("unknown_host", str(error))
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return Fault("unauthorized", f"{shown} refuses this user and password, or the lack of them", permanent=True)
    if isinstance(error, av.error.HTTPNotFoundError):
        return Fault("not_found", f"{address.host or shown} is there but has no such stream: {shown}", permanent=True)
    if isinstance(error, av.error.HTTPOtherClientError | av.error.HTTPServerError):
        kind = "4xx" if isinstance(error, av.error.HTTPOtherClientError) else "5xx"
        usual = "often because as many are connected as it allows"
        return Fault("refused", f"{shown} answers with an error ({kind}), {usual}")
    if isinstance(error, av.error.ProtocolNotFoundError | av.error.DemuxerNotFoundError | av.error.MuxerNotFoundError):
        reason = f"this FFmpeg cannot do {address.scheme or 'that'}: {shown} ({_REMEDY})"
        return Fault("unsupported", reason, permanent=True)
    if isinstance(error, OSError) and error.errno == errno.EPROTONOSUPPORT and address.scheme.startswith("rtsp"):
        reason = f"{shown} does not send by this transport; try another (transport: tcp, udp or http)"
        return Fault("unsupported", reason, permanent=True)
    if isinstance(error, av.error.DecoderNotFoundError):
        return Fault("unsupported", f"{shown} sends a codec this FFmpeg has no decoder for", permanent=True)
    if isinstance(error, FileNotFoundError):
        return Fault("not_found", f"'{shown}' does not exist", permanent=True)
    if isinstance(error, PermissionError):
        return Fault("unauthorized", f"'{shown}' cannot be opened (permission denied)", permanent=True)
    if isinstance(error, ConnectionRefusedError):
        return Fault("refused", f"nothing listens at {shown}")
    if isinstance(error, TimeoutError | av.error.ExitError):
        return Fault("silent", f"{shown} did not answer within {timeout:g} s")
    if isinstance(error, EOFError | ConnectionError):
        return Fault("lost", f"{shown} closed the connection")
    if isinstance(error, av.error.InvalidDataError):
        return Fault("broken", f"{shown} sends nothing that can be understood")
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return Fault("refused", f"{shown} cannot be reached from here")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("full", f"no space is left on the device for {shown}", permanent=True)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Fault("broken", f"{shown}: {without_secrets(str(reason))}")
