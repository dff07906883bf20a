"""A camera for tests: GStreamer's RTSP server, run by the system's Python (`/usr/bin/python3`), which has its bindings.

Prints "ready" when it answers. The pictures are drawn, encoded by x264 (or as asked), and stamped with their number.
"""

from __future__ import annotations

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} {extra} ! rtph264pay name=pay0 pt=96 "
    "config-interval=-1 {seed}",
    "h265": "x265enc speed-preset=ultrafast tune=zerolatency key-int-max={gop} ! rtph265pay name=pay0 pt=96 {seed}",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26 {seed}",
    "theora": "theoraenc ! rtptheorapay name=pay0 pt=96 {seed}",
    "vp8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist={gop} ! rtpvp8pay name=pay0 pt=96 {seed}",
}
AUDIO = "audiotestsrc is-live=true wave=white-noise ! audio/x-raw,rate=8000,channels=1 ! "
AUDIO_ENCODERS = {
    "g711": "alawenc ! rtppcmapay name=pay1 pt=8",
    "g726": "avenc_g726 bitrate=32000 ! rtpg726pay name=pay1 pt=97",
}
RECORD = (
    "( rtph264depay name=depay0 ! h264parse ! matroskamux name=mux streamable=true ! "
    "filesink location={file} async=false sync=false {audio} )"
)
RECORD_AUDIO = "rtppcmadepay name=depay1 ! queue ! mux."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mount", action="append", default=[])
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", default="15")
    parser.add_argument("--gop", type=int, default=8)
    parser.add_argument("--b-frames", type=int, default=0)
    parser.add_argument("--rtp-offset", type=int, help="First RTP time stamp.")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--audio", nargs="?", const="g711", choices=sorted(AUDIO_ENCODERS))
    parser.add_argument("--pattern", default="ball")
    parser.add_argument("--udp-only", action="store_true", help="Refuse to send over TCP.")
    parser.add_argument("--record", metavar="FILE", help="Take H.264 (and A-law sound) in instead of sending.")
    options = parser.parse_args()
    Gst.init(None)
    width, height = options.size.split("x")
    rate = options.fps if "/" in options.fps else f"{options.fps}/1"
    encoder = ENCODERS[options.codec].format(
        gop=options.gop,
        extra=f"b-adapt=false bframes={options.b_frames} rc-lookahead=8 sync-lookahead=0" if options.b_frames else "",
        seed="" if options.rtp_offset is None else f"timestamp-offset={options.rtp_offset}",
    )
    if options.b_frames:
        encoder = encoder.replace("tune=zerolatency ", "")
    video = (
        f"videotestsrc is-live=true pattern={options.pattern} ! "
        f"video/x-raw,format=I420,width={width},height={height},framerate={rate} ! {encoder}"
    )
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    if options.user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
        server.set_auth(auth)
    for mount in options.mount or ["/stream"]:
        factory = GstRtspServer.RTSPMediaFactory()
        if options.record:
            factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
            factory.set_launch(RECORD.format(file=options.record, audio=RECORD_AUDIO if options.audio else ""))
        else:
            audio = AUDIO + AUDIO_ENCODERS[options.audio] if options.audio else ""
            factory.set_launch(f"( {video} {audio} )")
            factory.set_shared(True)
        if options.udp_only:
            factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        if options.user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(mount, factory)
    if not server.attach(None):
        raise SystemExit(f"port {options.port} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
