"""Whether a server is who its certificate says: FFmpeg accepts any by default."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamdehaze.address import Address
from streamdehaze.errors import ConfigError, StreamDehazeError

if TYPE_CHECKING:
    import ssl

_PORTS = {"https": 443, "rtsps": 322, "rtmps": 443}
_SECONDS = 5.0


class UntrustedError(StreamDehazeError):
    """A server's certificate is not to be trusted."""


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """What a connection to a TLS server checks its certificate by.

    Args:
        ca_file: certificates (PEM) to trust instead of the system's.

    Raises:
        ConfigError: if there are none in the file, or it cannot be read.
    """
    import ssl  # late: files need none of it

    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigError(f"ca_file '{ca_file}' holds no certificates in PEM") from error
    except OSError as error:
        raise ConfigError(f"ca_file '{ca_file}' cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class Trust:
    """What is asked of the certificates of https, rtsps and rtmps servers.

    Args:
        verify: check them; None checks those of web servers and of whatever is sent to, because most cameras have made
            theirs themselves.
        ca_file: certificates (PEM) to trust instead of the system's.
    """

    verify: bool | None = None
    ca_file: Path | None = None

    def check(self, address: Address, *, sending: bool) -> dict[str, str]:
        """Check the certificate before anything secret is sent.

        Args:
            address: of the server; one without TLS passes.
            sending: a stream will be sent there, rather than read.

        Returns:
            FFmpeg's options, so that it checks, too, where it can (not for rtsps).

        Raises:
            UntrustedError: if it is not to be trusted.
            OSError: if the server cannot be reached, or does not speak TLS.
        """
        if address.scheme not in _PORTS or not self._wanted(address.scheme, sending):
            return {}
        import ssl

        parts = urlsplit(address.full)
        host = parts.hostname or ""
        try:
            context = client_context(self.ca_file)
        except ConfigError as error:
            raise UntrustedError(str(error)) from error
        try:
            with (
                socket.create_connection((host, parts.port or _PORTS[address.scheme]), _SECONDS) as connection,
                context.wrap_socket(connection, server_hostname=host),
            ):
                pass
        except ssl.SSLCertVerificationError as error:
            raise UntrustedError(
                f"the certificate of {address.shown} is not trusted ({error.verify_message}); name the one to trust "
                "with ca_file, or accept any with tls_verify = false"
            ) from error
        except ssl.SSLError as error:
            raise ConnectionError(f"no TLS there: {error.reason}") from error
        trusted = self.ca_file or ssl.get_default_verify_paths().cafile
        return {"tls_verify": "1", **({} if trusted is None else {"ca_file": os.fspath(trusted)})}

    def _wanted(self, scheme: str, sending: bool) -> bool:
        return self.verify if self.verify is not None else sending or scheme == "https"
