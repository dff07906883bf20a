"""`streamdehaze live`: cameras in, clear streams out, day and night."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from streamdehaze.errors import ConfigError
from streamdehaze.extras import needed_for

if TYPE_CHECKING:
    from streamdehaze.live import CameraConfig, LiveConfig, LivePipeline
    from streamdehaze.live.departure import Departure

log = logging.getLogger("streamdehaze.live")

_STOP_SECONDS = 4.0
_SHARED = ("checkpoint", "engine", "network_size", "batch_size", "adapt")
_PER_CAMERA = (
    "username", "password_env", "password_file", "transport", "strength", "airlight", "brightness", "steady",
    "exact", "latency_budget", "max_fps", "stall_seconds", "realtime", "loop", "codec", "bitrate", "segment_seconds",
    "segment_bytes",
)  # fmt: skip


def seconds(text: str) -> float:
    """Seconds of "0.2", "0.2s" or "200ms"."""
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a time; write 200ms or 0.2s.") from None
    if not value > 0:
        raise click.BadParameter("it must be more than 0.")
    return value


@click.command(name="live")
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="cameras.toml, read again on SIGHUP.")
@click.option("--to", multiple=True, metavar="TARGET", help="rtsp://, rtmp://, srt://, udp://, folder (HLS), or file.")
@click.option("--serve", is_flag=False, flag_value="127.0.0.1:8080", metavar="[HOST:PORT]", help="Serve a web page.")
@click.option("--token-env", metavar="NAME", help="Variable with the page's token; needed off 127.0.0.1.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the page's token.")
@click.option("--host-name", multiple=True, metavar="NAME", help="Name the page is visited by, behind a proxy, say.")
@click.option(
    "--latency-budget", type=seconds, metavar="TIME", help="Older frames give way to newer.  [default: 200ms]"
)
@click.option("--adapt/--no-adapt", default=None, help="Reduce quality before dropping frames.  [default: adapt]")
@click.option("--realtime", is_flag=True, default=None, help="Play files as fast as they were filmed.")
@click.option("--loop", is_flag=True, default=None, help="Begin files again when they end.")
@click.option("--transport", type=click.Choice(["tcp", "udp", "http"]), help="How RTSP comes.  [default: tcp]")
@click.option("--username", help="In place of the address's.")
@click.option("--password-env", metavar="NAME", help="Environment variable with the password.")
@click.option("--password-file", type=click.Path(path_type=Path), help="File whose first line is the password.")
@click.option("--strength", type=click.FloatRange(0, 1), help="0 (unchanged) to 1.  [default: 1]")
@click.option(
    "--airlight",
    type=click.Choice(["auto", "keep", "neutral"]),
    help="Tint of the haze: keep it, make it neutral, or draw strong tints to neutral.  [default: auto]",
)
@click.option(
    "--brightness",
    type=click.Choice(["keep", "natural"]),
    help="Keep the brightness of the hazy frames, or darken as the haze goes.  [default: keep]",
)
@click.option(
    "--steady",
    type=click.Choice(["off", "low", "high"]),
    help="Smooth dehazing over time to reduce flicker.  [default: low]",
)
@click.option("--exact", is_flag=True, default=None, help="Run the network on whole frames: slow.")
@click.option("--max-fps", type=float, help="Process at most this many frames per second per camera.")
@click.option("--stall-seconds", type=float, help="Reconnect after this many seconds without a frame.  [default: 5]")
@click.option("--checkpoint", help="A bundled checkpoint's name, or a file.  [default: aecrnet-s]")
@click.option("--engine", help="auto, torch, openvino or tensorrt.  [default: auto]")
@click.option("--network-size", type=int, help="Long side the network sees, pixels.  [default: 256]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Frames a run of the network.  [default: 4]")
@click.option("--codec", help="FFmpeg's encoder of the clear stream.  [default: libx264]")
@click.option("--bitrate", type=int, help="Bits a second.  [default: constant quality]")
@click.option("--segment-seconds", type=float, help="Length of files.  [default: 600]")
@click.option("--segment-bytes", type=int, help="Size of files, at most.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
def command(urls: tuple[str, ...], **options: Any) -> None:
    """Make live cameras clear until stopped.

    URLs are cameras (rtsp://, rtmp://, http:// …), devices (/dev/video0) or files; or they are named in --config.
    Passwords stand in the URL as ${NAME} for an environment variable, or come with --password-env or
    --password-file. `{name}` in --to stands for the camera's name.

    Example: `streamdehaze live rtsp://192.0.2.7/stream --serve --to clear/{name}.mkv`
    """
    if bool(urls) == bool(options["config"]):
        raise click.UsageError("give the URLs of cameras, or --config cameras.toml")
    _log_to_standard_error(options["log_format"], quiet=options["quiet"], verbose=options["verbose"])
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.live import LivePipeline
    from streamdehaze.live.departure import Departure

    config = _configuration(urls, options)
    token = _page_token(options)
    with Departure() as departure:
        with Dehazer(config.checkpoint, engine=config.engine, network_size=config.network_size) as dehazer:
            pipeline = LivePipeline(
                config.camera,
                dehazer=dehazer,
                network_size=config.network_size,
                batch_size=config.batch_size,
                adapt=config.adapt,
            )
            page = _serve(pipeline, options, token, departure.told)
            try:
                departure.has_work = True
                pipeline.start()
                _run(pipeline, config, departure, lambda: _configuration(urls, options))
            finally:
                finished = pipeline.stop(_STOP_SECONDS)
                if page is not None:
                    page()
        if pipeline.error is not None:
            raise pipeline.error
        departure.leave(finished=finished)


def _run(
    pipeline: LivePipeline,
    config: LiveConfig,
    departure: Departure,
    read: Callable[[], LiveConfig],
) -> None:
    """Wait for the end: a signal, a failure, or, of files, that all are over."""
    told, reload = departure.told, departure.reload
    while not told.wait(0.1) and not pipeline.stopped.is_set() and not (pipeline.cameras and pipeline.ended):
        if reload.is_set():
            reload.clear()
            try:
                changed = read()
                pipeline.reload(changed.camera)
                later = [name for name in _SHARED if getattr(changed, name) != getattr(config, name)]
                if later:
                    log.warning("changes of %s take effect when the command is started again", ", ".join(later))
            except ConfigError as error:
                log.error("the cameras stay as they are: %s", error)


def _configuration(urls: Sequence[str], options: dict[str, Any]) -> LiveConfig:
    """What the file says, or the addresses; an option of the command line wins over the file's."""
    from streamdehaze.live.config import camera_name, check_config, read_config

    given = {key: options[key] for key in (*_SHARED, *_PER_CAMERA) if options[key] is not None}
    shared = {key: value for key, value in given.items() if key in _SHARED}
    each = {key: value for key, value in given.items() if key in _PER_CAMERA}
    if options["to"]:
        each["to"] = options["to"]
    if options["config"] is not None:
        config = read_config(options["config"])
        cameras: list[dict[str, Any]] = [camera.model_dump(exclude_unset=True) for camera in config.camera]
        values = {**config.model_dump(exclude={"camera"}, exclude_unset=True), **shared}
        if not cameras:
            raise ConfigError(f"'{options['config']}' names no camera; write a [[camera]] with name and url")
    else:
        names: set[str] = set()
        cameras = []
        for url in urls:
            names.add(name := camera_name(url, names))
            cameras.append({"name": name, "url": url})
        values = shared
    checked = check_config({**values, "camera": [{**camera, **each} for camera in cameras]}, "the command line")
    _refuse_clashes(checked.camera)
    return checked


def _refuse_clashes(cameras: Sequence[CameraConfig]) -> None:
    taken: dict[str, str] = {}
    for camera in cameras:
        for to in camera.to:
            target = to.replace("{name}", camera.name)
            if target in taken:
                raise ConfigError(
                    f"'{taken[target]}' and '{camera.name}' would both be sent to the same place; put {{name}} in --to"
                )
            taken[target] = camera.name


def _page_token(options: dict[str, Any]) -> str | None:
    """The page's token, or None if it is served to this machine only, or not at all."""
    if options["serve"] is None:
        return None
    from streamdehaze.address import read_secret

    with needed_for("--serve", "live"):
        from streamdehaze.live.web import Address
    address = Address.parse(options["serve"])
    token = read_secret(env=options["token_env"], file=options["token_file"])
    if token is None and not address.is_loopback:
        raise click.UsageError(
            f"--serve {address} can be reached from other machines and so needs --token-env or --token-file; "
            "'openssl rand -hex 16' makes a token"
        )
    return token


def _serve(
    pipeline: LivePipeline, options: dict[str, Any], token: str | None, stop: threading.Event
) -> Callable[[], None] | None:
    """Start the web page, if it is wanted; returns what stops it."""
    if options["serve"] is None:
        return None
    from streamdehaze.live.web import Address, WebServer

    address = Address.parse(options["serve"])
    server = WebServer(pipeline, address, token=token, host_names=options["host_name"], stop=stop)
    server.start()
    if not options["quiet"]:
        click.echo(f"streamdehaze: the cameras are at {server.url}", err=True)
    return server.stop


def _log_to_standard_error(form: str, *, quiet: bool, verbose: bool) -> None:
    from streamdehaze.live.log import JsonFormatter, RedactingFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else RedactingFormatter("%(asctime)s %(message)s"))
    package = logging.getLogger("streamdehaze")
    package.handlers = [handler]
    package.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    package.propagate = False
