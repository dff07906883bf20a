"""`streamdehaze live`: cameras in, clear streams out, day and night."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import rich_click as click

from streamdehaze.cli import collector
from streamdehaze.cli.parameters import (
    AIRLIGHT,
    AIRLIGHT_COLOR,
    BATCH_SIZE,
    BRIGHTNESS,
    ENCODER,
    INPUT,
    MODE,
    NETWORK,
    NETWORK_SIZE,
    PATH,
    QUIET,
    RUNTIME,
    STEADY,
    key_value,
    panel,
    part_of,
    seconds,
    size_bytes,
)
from streamdehaze.cli.service import ServiceManager
from streamdehaze.errors import ConfigError
from streamdehaze.extras import needed_for

if TYPE_CHECKING:
    from streamdehaze.cli.shutdown import ShutdownHandler
    from streamdehaze.live import Camera, CameraConfig, LiveConfig, LivePipeline
    from streamdehaze.live.announcing.mqtt import MqttPublisher
    from streamdehaze.live.announcing.webhook import Webhook
    from streamdehaze.live.shards import Shards

log = logging.getLogger("streamdehaze.live")

_STOP_SECONDS = 4.0


@click.command(name="live")
@click.argument("urls", nargs=-1, metavar="[URL]...", type=INPUT)
@panel(
    "Cameras",
    click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Cameras and settings (cameras.toml); read again on SIGHUP.",
    ),
    click.option(
        "--shard",
        type=part_of,
        metavar="K/N",
        help="Serve a share of the cameras: start N processes with the same --config, 1/N to N/N, on as many machines.",
    ),
    click.option(
        "--shards-folder",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="A folder that the shards share: each takes over the cameras of shards that give no sign of life for 5 s.",
    ),
    click.option("--username", help="Instead of the one in the URL."),
    click.option("--password-env", metavar="NAME", help="Environment variable with the password."),
    click.option("--password-file", type=PATH, help="File whose first line is the password."),
    click.option(
        "--transport",
        type=click.Choice(["tcp", "udp", "http"]),
        help="Transport of RTSP; http tunnels it.  [default: tcp]",
    ),
    click.option(
        "--hwaccel",
        type=click.Choice(["none", "auto", "cuda"]),
        help="Where to decode: in software, on an NVIDIA GPU, or there if possible.  [default: none]",
    ),
    click.option(
        "--stall-seconds", type=float, help="Reconnect after this many seconds without a frame.  [default: 5]"
    ),
    click.option("--realtime", is_flag=True, default=None, help="Play files at their own speed."),
    click.option("--loop", is_flag=True, default=None, help="Play files again when they end."),
    click.option(
        "--set",
        "others",
        type=key_value,
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other key of a [[camera]] in cameras.toml, e.g. buffer_frames=4; may be repeated.",
    ),
)
@panel(
    "Output",
    click.option(
        "--to",
        multiple=True,
        metavar="TARGET",
        type=INPUT,
        help="rtsp://, rtmp://, srt://, udp://, a folder (HLS), or a file; may be repeated.",
    ),
    click.option(
        "--virtual-camera",
        is_flag=False,
        flag_value="",
        metavar="[DEVICE]",
        help="Appear as a camera of this computer, for OBS and meetings: the first free device, or e.g. /dev/video2.",
    ),
    click.option("--codec", type=ENCODER, help="FFmpeg's encoder of the clear stream.  [default: libx264]"),
    click.option("--bitrate", type=int, help="Bits per second.  [default: constant quality]"),
    click.option("--segment-seconds", type=float, help="Start a new file after this long.  [default: 600]"),
    click.option("--segment-bytes", type=size_bytes, metavar="SIZE", help="Start a new file at this size, e.g. 500M."),
)
@panel(
    "Web page",
    click.option(
        "--serve",
        is_flag=False,
        flag_value="127.0.0.1:8080",
        metavar="[HOST:PORT]",
        help="Serve a web page with pictures, controls, API and metrics.",
    ),
    click.option(
        "--token-env",
        metavar="NAME",
        help="Environment variable with the page's token, which any address but loopback needs.",
    ),
    click.option("--token-file", type=PATH, help="File with the page's token."),
    click.option("--viewer-token-env", metavar="NAME", help="Variable with a token to look, not change."),
    click.option("--viewer-token-file", type=PATH, help="File with the viewers' token."),
    click.option("--tls-cert", type=PATH, help="Serve over HTTPS: the certificate, PEM."),
    click.option("--tls-key", type=PATH, help="The certificate's key, PEM."),
    click.option(
        "--host-name",
        multiple=True,
        metavar="NAME",
        help="Another name the page is visited by, e.g. behind a proxy; may be repeated.",
    ),
)
@panel(
    "Dehazing",
    click.option(
        "--strength",
        type=click.FloatRange(0, 1.5),
        help="How much haze to remove: 0 (none) to 1, to 1.5 to exaggerate.  [default: 1]",
    ),
    STEADY.unless_given(default="low"),
    NETWORK.unless_given(),
    MODE.unless_given(),
    AIRLIGHT.unless_given(),
    AIRLIGHT_COLOR,
    BRIGHTNESS.unless_given(),
    NETWORK_SIZE.unless_given(),
    click.option("--exact", is_flag=True, default=None, help="Run the network on whole frames: slow."),
)
@panel(
    "Speed",
    click.option(
        "--latency-budget",
        type=seconds,
        metavar="TIME",
        help="Drop frames older than this (0.2, 200ms) for newer ones.  [default: 200ms]",
    ),
    click.option("--adapt/--no-adapt", default=None, help="Reduce quality before dropping frames.  [default: adapt]"),
    click.option("--max-fps", type=float, help="Process at most this many frames per second per camera."),
    RUNTIME.unless_given(),
    BATCH_SIZE.unless_given(default="4"),
)
@panel(
    "Messages",
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="One line or one JSON object per event.",
    ),
    QUIET,
    click.option("-v", "--verbose", is_flag=True, help="Print more."),
)
def command(
    urls: tuple[str, ...],
    config: Path | None,
    shard: tuple[int, int] | None,
    shards_folder: Path | None,
    others: tuple[tuple[str, str], ...],
    virtual_camera: str | None,
    serve: str | None,
    token_env: str | None,
    token_file: Path | None,
    viewer_token_env: str | None,
    viewer_token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    host_name: tuple[str, ...],
    log_format: str,
    quiet: bool,
    verbose: bool,
    **settings: object,
) -> None:
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
    if bool(urls) == bool(config):
        raise click.UsageError("give the URLs of cameras, or --config cameras.toml")
    if shards_folder is not None and shard is None:
        raise click.UsageError("--shards-folder goes with --shard")
    _log_to_standard_error(log_format, quiet=quiet, verbose=verbose)
    from streamdehaze.address import read_secret
    from streamdehaze.cli.shutdown import ShutdownHandler
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.live import LivePipeline
    from streamdehaze.live.shards import Shards
    from streamdehaze.process import limit_arenas
    from streamdehaze.toml import value as toml_value

    if virtual_camera is not None:
        from streamdehaze.integrations.virtual_camera import VirtualCamera
    limit_arenas(4)
    shards = Shards(*(shard or (1, 1)), shards_folder)

    def read() -> LiveConfig:
        whole = _configuration(urls, config, settings, {key: toml_value(value) for key, value in others})
        return whole.model_copy(update={"camera": tuple(shards.mine(whole.camera))})

    checked = read()
    if urls:
        for camera in checked.camera:
            camera.address()  # of what was just typed, a missing password is an error; in a file, it may come later
    if virtual_camera is not None and len(checked.camera) != 1:
        raise click.UsageError("--virtual-camera shows one camera; give one")
    page = None
    if serve is not None:
        if (tls_cert is None) != (tls_key is None):
            raise click.UsageError("--tls-cert and --tls-key go together")
        with needed_for("--serve", "live"):
            from streamdehaze.live.web import ListenAddress, WebServer
        address, token = ListenAddress.parse(serve), read_secret(env=token_env, file=token_file)
        if token is None and not address.is_loopback:
            raise click.UsageError(
                f"--serve {address} can be reached from other machines and so needs --token-env or --token-file; "
                "'openssl rand -hex 16' makes a token"
            )
        page = functools.partial(
            WebServer,
            address=address,
            token=token,
            viewer_token=read_secret(env=viewer_token_env, file=viewer_token_file),
            tls=None if tls_cert is None or tls_key is None else (tls_cert, tls_key),
            host_names=host_name,
        )
    elif virtual_camera is None and not any(camera.to for camera in checked.camera):
        log.warning("the clear frames go nowhere: give a target with --to, or --serve to look at them")
    with ShutdownHandler() as shutdown:
        with Dehazer(checked.checkpoint, engine=checked.engine, network_size=checked.network_size) as dehazer:
            pipeline = LivePipeline(
                checked.camera,
                dehazer=dehazer,
                network_size=checked.network_size,
                batch_size=checked.batch_size,
                adapt=checked.adapt,
                profiles=checked.profile,
            )
            server = None if page is None else page(pipeline, stop=shutdown.stop)
            if server is not None:
                server.start()
                if log_format == "json":
                    log.info("the cameras are at %s", server.url)
                elif not quiet:
                    click.echo(f"streamdehaze: the cameras are at {server.url}", err=True)
            announcers = _announcers(pipeline, checked, None if shard is None else shards.number)
            if virtual_camera is not None:
                announcers.append(VirtualCamera(lambda: _only(pipeline).full_view, virtual_camera or None))
            try:
                shutdown.has_work = True
                collector.resume()
                pipeline.start()
                for announcer in announcers:
                    announcer.start()
                _run(pipeline, checked, shutdown, read, shards)
            finally:
                shards.leave()
                finished = pipeline.stop(_STOP_SECONDS)
                for announcer in announcers:  # they still announce that the cameras have stopped
                    announcer.stop()
                if server is not None:
                    server.stop()
        if pipeline.error is not None:
            raise pipeline.error
        shutdown.leave(finished=finished)


def _only(pipeline: LivePipeline) -> Camera:
    """The one camera; reloads replace it."""
    return next(iter(pipeline.cameras.values()))


class _Announcer(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


def _announcers(pipeline: LivePipeline, config: LiveConfig, shard: int | None) -> list[_Announcer]:
    """What reports the cameras to other programs."""
    started: list[MqttPublisher | Webhook] = []
    if config.mqtt is not None:
        with needed_for("[mqtt]", "mqtt"):
            from streamdehaze.live.announcing.mqtt import MqttPublisher
        started.append(MqttPublisher(config.mqtt, lambda: pipeline.cameras, shard))
    if config.webhook is not None:
        from streamdehaze.live.announcing.webhook import Webhook

        started.append(Webhook(config.webhook))
    if not started:
        return []
    from streamdehaze.live.announcing.events import EventWatch

    return [*started, EventWatch(lambda: pipeline.cameras, [each.tell for each in started])]


def _run(
    pipeline: LivePipeline,
    config: LiveConfig,
    shutdown: ShutdownHandler,
    read: Callable[[], LiveConfig],
    shards: Shards,
) -> None:
    """Wait for the end: a signal, a failure, or, of files, that all are over."""
    stop, reload = shutdown.stop, shutdown.reload
    manager, ready = ServiceManager(), False
    while not stop.wait(0.1) and not pipeline.stopped.is_set() and not (pipeline.cameras and pipeline.ended):
        if not ready and pipeline.opened:
            ready = True
            manager.ready()
        if ready and pipeline.moves:
            manager.works()
        if shards.beat():
            reload.set()
        if reload.is_set():
            reload.clear()
            try:
                changed = read()
                pipeline.reload(changed.camera, changed.profile)
                shared = type(config).model_fields.keys() - {"camera", "profile"}
                later = sorted(name for name in shared if getattr(changed, name) != getattr(config, name))
                if later:
                    log.warning("changes of %s take effect when the command is started again", ", ".join(later))
            except ConfigError as error:
                log.error("the cameras stay as they are: %s", error)
    manager.stopping()


def _configuration(
    urls: Sequence[str], file: Path | None, settings: Mapping[str, object], others: Mapping[str, object]
) -> LiveConfig:
    """What the file says, or the addresses; an option of the command line wins over the file's."""
    from streamdehaze.live.config import CameraConfig, LiveConfig, camera_name, check_config, read_config

    given = {key: value for key, value in settings.items() if value is not None and value != ()}
    shared = {key: value for key, value in given.items() if key in LiveConfig.model_fields}
    each = {key: value for key, value in given.items() if key in CameraConfig.model_fields} | dict(others)
    if file is not None:
        config = read_config(file)
        cameras: list[dict[str, object]] = [camera.model_dump(exclude_unset=True) for camera in config.camera]
        values = {**config.model_dump(exclude={"camera"}, exclude_unset=True), **shared}
        if not cameras:
            raise ConfigError(f"'{file}' names no camera; write a [[camera]] with name and url")
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
        for to in (*camera.to, *(() if camera.clips is None else (camera.clips,))):
            target = to.replace("{name}", camera.name)
            if target in taken:
                raise ConfigError(
                    f"'{taken[target]}' and '{camera.name}' would both be sent to the same place; "
                    "put {name} in --to, or in clips"
                )
            taken[target] = camera.name


def _log_to_standard_error(form: str, *, quiet: bool, verbose: bool) -> None:
    from streamdehaze.cli.log import JsonFormatter, RedactingFormatter, send_log_to

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else RedactingFormatter("%(asctime)s %(message)s"))
    send_log_to(handler, quiet=quiet, verbose=verbose, usual=logging.INFO)
