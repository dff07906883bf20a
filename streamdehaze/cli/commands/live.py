"""`streamdehaze live`: cameras in, clear streams out, day and night."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from streamdehaze.cli import collector
from streamdehaze.cli.parameters import CHECKPOINT, ENCODER, ENGINE, INPUT, key_value, seconds, toml_value
from streamdehaze.errors import ConfigError
from streamdehaze.extras import needed_for

if TYPE_CHECKING:
    from streamdehaze.cli.departure import Departure
    from streamdehaze.live import CameraConfig, LiveConfig, LivePipeline

log = logging.getLogger("streamdehaze.live")

_STOP_SECONDS = 4.0


@click.command(name="live")
@click.argument("urls", nargs=-1, metavar="[URL]...", type=INPUT)
@click.option(
    "--config",
    panel="Cameras",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Cameras and settings (cameras.toml); read again on SIGHUP.",
)
@click.option("--username", panel="Cameras", help="Instead of the one in the URL.")
@click.option("--password-env", panel="Cameras", metavar="NAME", help="Environment variable with the password.")
@click.option(
    "--password-file", panel="Cameras", type=click.Path(path_type=Path), help="File whose first line is the password."
)
@click.option(
    "--transport",
    panel="Cameras",
    type=click.Choice(["tcp", "udp", "http"]),
    help="Transport of RTSP; http tunnels it.  [default: tcp]",
)
@click.option(
    "--stall-seconds",
    panel="Cameras",
    type=float,
    help="Reconnect after this many seconds without a frame.  [default: 5]",
)
@click.option("--realtime", panel="Cameras", is_flag=True, default=None, help="Play files at their own speed.")
@click.option("--loop", panel="Cameras", is_flag=True, default=None, help="Play files again when they end.")
@click.option(
    "--set",
    "others",
    panel="Cameras",
    type=key_value,
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other key of a [[camera]] in cameras.toml, e.g. buffer_frames=4; may be repeated.",
)
@click.option(
    "--to",
    panel="Output",
    multiple=True,
    metavar="TARGET",
    type=INPUT,
    help="rtsp://, rtmp://, srt://, udp://, a folder (HLS), or a file; may be repeated.",
)
@click.option("--codec", panel="Output", type=ENCODER, help="FFmpeg's encoder of the clear stream.  [default: libx264]")
@click.option("--bitrate", panel="Output", type=int, help="Bits per second.  [default: constant quality]")
@click.option("--segment-seconds", panel="Output", type=float, help="Start a new file after this long.  [default: 600]")
@click.option("--segment-bytes", panel="Output", type=int, help="Start a new file at this size.")
@click.option(
    "--serve",
    panel="Web page",
    is_flag=False,
    flag_value="127.0.0.1:8080",
    metavar="[HOST:PORT]",
    help="Serve a web page with pictures, controls, API and metrics.",
)
@click.option(
    "--token-env",
    panel="Web page",
    metavar="NAME",
    help="Environment variable with the page's token, which any address but loopback needs.",
)
@click.option("--token-file", panel="Web page", type=click.Path(path_type=Path), help="File with the page's token.")
@click.option(
    "--viewer-token-env",
    panel="Web page",
    metavar="NAME",
    help="Variable with a token to look, not change.",
)
@click.option(
    "--viewer-token-file", panel="Web page", type=click.Path(path_type=Path), help="File with the viewers' token."
)
@click.option(
    "--tls-cert", panel="Web page", type=click.Path(path_type=Path), help="Serve over HTTPS: the certificate, PEM."
)
@click.option("--tls-key", panel="Web page", type=click.Path(path_type=Path), help="The certificate's key, PEM.")
@click.option(
    "--host-name",
    panel="Web page",
    multiple=True,
    metavar="NAME",
    help="Another name the page is visited by, e.g. behind a proxy; may be repeated.",
)
@click.option(
    "--strength",
    panel="Dehazing",
    type=click.FloatRange(0, 1),
    help="How much haze to remove: 0 (none) to 1.  [default: 1]",
)
@click.option(
    "--steady",
    panel="Dehazing",
    type=click.Choice(["off", "low", "high"]),
    help="Smooth dehazing over time to reduce flicker.  [default: low]",
)
@click.option(
    "--checkpoint",
    panel="Dehazing",
    type=CHECKPOINT,
    help="A bundled checkpoint's name, or a file.  [default: aecrnet-s]",
)
@click.option(
    "--mode",
    panel="Dehazing",
    type=click.Choice(["on", "auto", "off"]),
    help="auto removes haze only while there is some and leaves clear air unchanged, bit for bit.  [default: on]",
)
@click.option(
    "--airlight",
    panel="Dehazing",
    type=click.Choice(["auto", "keep", "neutral"]),
    help="Tint of the haze: keep it, make it neutral, or (auto) neutralize strong tints such as sand.  [default: auto]",
)
@click.option(
    "--brightness",
    panel="Dehazing",
    type=click.Choice(["keep", "natural"]),
    help="Keep the brightness of the hazy frames, or let them darken as the haze goes.  [default: keep]",
)
@click.option(
    "--network-size",
    panel="Dehazing",
    type=int,
    help="Long side of the small picture that the network sees, pixels.  [default: 256]",
)
@click.option("--exact", panel="Dehazing", is_flag=True, default=None, help="Run the network on whole frames: slow.")
@click.option(
    "--latency-budget",
    panel="Speed",
    type=seconds,
    metavar="TIME",
    help="Drop frames older than this (0.2, 200ms) for newer ones.  [default: 200ms]",
)
@click.option(
    "--adapt/--no-adapt", panel="Speed", default=None, help="Reduce quality before dropping frames.  [default: adapt]"
)
@click.option("--max-fps", panel="Speed", type=float, help="Process at most this many frames per second per camera.")
@click.option(
    "--engine",
    panel="Speed",
    type=ENGINE,
    help="auto, torch, openvino, onnxruntime, tensorrt, or a recipe (.toml).  [default: auto]",
)
@click.option(
    "--batch-size", panel="Speed", type=click.IntRange(min=1), help="Frames per run of the network.  [default: 4]"
)
@click.option(
    "--log-format",
    panel="Messages",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="One line or one JSON object per event.",
)
@click.option("-q", "--quiet", panel="Messages", is_flag=True, help="Print only errors.")
@click.option("-v", "--verbose", panel="Messages", is_flag=True, help="Print more.")
def command(urls: tuple[str, ...], **options: Any) -> None:
    """Make live cameras clear until stopped.

    URLs are cameras (rtsp://, rtmp://, http://, …), devices (/dev/video0) or files; --config names them in a file
    instead. Keep passwords out of the command line: write ${NAME} in the URL for an environment variable, or use
    --password-env or --password-file. {name} in --to stands for the camera's name.

    \b
    Examples:
      streamdehaze live rtsp://192.0.2.7/stream --serve
      streamdehaze live rtsp://192.0.2.7/stream --to 'clear/{name}.mkv' --password-file secret.txt
      streamdehaze live --config cameras.toml --serve --log-format json
      streamdehaze live foggy.mp4 --realtime --loop --serve
    """
    if bool(urls) == bool(options["config"]):
        raise click.UsageError("give the URLs of cameras, or --config cameras.toml")
    _log_to_standard_error(options["log_format"], quiet=options["quiet"], verbose=options["verbose"])
    from streamdehaze.cli.departure import Departure
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.live import LivePipeline

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
                collector.resume()
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
                shared = type(config).model_fields.keys() - {"camera"}
                later = sorted(name for name in shared if getattr(changed, name) != getattr(config, name))
                if later:
                    log.warning("changes of %s take effect when the command is started again", ", ".join(later))
            except ConfigError as error:
                log.error("the cameras stay as they are: %s", error)


def _configuration(urls: Sequence[str], options: dict[str, Any]) -> LiveConfig:
    """What the file says, or the addresses; an option of the command line wins over the file's."""
    from streamdehaze.live.config import CameraConfig, LiveConfig, camera_name, check_config, read_config

    given = {key: value for key, value in options.items() if value is not None and value != ()}
    shared = {key: value for key, value in given.items() if key in LiveConfig.model_fields}
    each = {key: value for key, value in given.items() if key in CameraConfig.model_fields}
    each |= {key: toml_value(value) for key, value in options["others"]}
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
    if (options["tls_cert"] is None) != (options["tls_key"] is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
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
    from streamdehaze.address import read_secret

    certificate, key = options["tls_cert"], options["tls_key"]
    server = WebServer(
        pipeline,
        address,
        token=token,
        viewer_token=read_secret(env=options["viewer_token_env"], file=options["viewer_token_file"]),
        tls=None if certificate is None else (certificate, key),
        host_names=options["host_name"],
        stop=stop,
    )
    server.start()
    if not options["quiet"]:
        click.echo(f"streamdehaze: the cameras are at {server.url}", err=True)
    return server.stop


def _log_to_standard_error(form: str, *, quiet: bool, verbose: bool) -> None:
    from streamdehaze.cli.log import JsonFormatter, RedactingFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else RedactingFormatter("%(asctime)s %(message)s"))
    package = logging.getLogger("streamdehaze")
    package.handlers = [handler]
    package.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    package.propagate = False
