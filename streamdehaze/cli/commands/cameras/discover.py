"""`streamdehaze discover`: ONVIF cameras in the network, and where their streams are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import rich_click as click

from streamdehaze.cli.parameters import PATH
from streamdehaze.errors import SourceError

if TYPE_CHECKING:
    from streamdehaze.live.onvif import OnvifDevice, OnvifStream


@click.command(name="discover")
@click.argument("hosts", nargs=-1, metavar="[HOST[:PORT]]...")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=3, help="Wait for answers.")
@click.option("--username", help="Of the cameras; without it, only what they list without a login.")
@click.option("--password-env", metavar="NAME", help="Environment variable with the password.")
@click.option("--password-file", type=PATH, help="File whose first line is the password.")
@click.option("--toml", is_flag=True, help="Print [[camera]] tables for cameras.toml.")
def command(
    hosts: tuple[str, ...],
    seconds: float,
    username: str | None,
    password_env: str | None,
    password_file: Path | None,
    toml: bool,
) -> None:
    """Find ONVIF cameras on the network, or ask those given, and list their streams.

    Without HOST, every camera of the local network that answers is listed.

    \b
    Examples:
      streamdehaze discover
      streamdehaze discover --username admin --password-file cameras.password
      streamdehaze discover 192.0.2.7 --username admin --password-env GATE --toml >> cameras.toml
    """
    from streamdehaze.address import read_secret
    from streamdehaze.live.onvif import discover, streams_of

    password = read_secret(env=password_env, file=password_file)
    devices = [_device_of(host) for host in hosts] or discover(seconds)
    if not devices:
        raise SourceError(f"no ONVIF camera answered within {seconds:g} s; cameras of other networks are named by host")
    file = None if password_file is None else str(password_file)
    login = {"username": username, "password_env": password_env, "password_file": file}
    failed = 0
    for device in devices:
        try:
            streams = streams_of(device, username, password)
        except SourceError as error:
            failed += 1
            streams = []
            click.echo(f"streamdehaze: {error}", err=True)
        click.echo(_table(device, streams, login) if toml else _lines(device, streams), nl=not toml or bool(streams))
    if failed == len(devices):
        raise SourceError("no camera lists its streams")


def _device_of(text: str) -> OnvifDevice:
    from streamdehaze.live.onvif import OnvifDevice

    try:
        place = urlsplit(f"//{text}")
        return OnvifDevice(place.hostname or text, place.port or 80)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not HOST or HOST:PORT, as in 192.0.2.7:8000.") from None


def _lines(device: OnvifDevice, streams: list[OnvifStream]) -> str:
    about = ", ".join(part for part in (device.name, device.hardware) if part)
    lines = [f"{device.place}{about and f'  {about}'}"]
    for stream in streams:
        size = f"{stream.width}×{stream.height}" if stream.width else "size unknown"
        lines.append(f"  {stream.profile}: {size}, {stream.codec}, {stream.url}")
    return "\n".join(map(_printable, lines))


def _table(device: OnvifDevice, streams: list[OnvifStream], login: dict[str, str | None]) -> str:
    """A camera of cameras.toml: its largest stream is recorded, its smallest shown."""
    if not streams:
        return ""
    allowed = "".join(sign if sign.isalnum() or sign in " .,:()+-_" else " " for sign in device.name).strip()
    values = {"name": allowed[:64] or device.host, "url": streams[0].url}
    if len(streams) > 1:
        values["sub_url"] = streams[-1].url
    values |= {key: value for key, value in login.items() if value is not None}
    return "[[camera]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _printable(text: str) -> str:
    """Without what a terminal might obey: the text came from the network."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
