"""What every container and codec keeps of a file, measured by the comparer that `run` uses; writes docs/kept.md.

A second table does the same for what pictures and files carry besides: HDR, film grain, fields, rotation, covers.

For each pair, FFmpeg makes a small film with sound in two languages, chapters, tags, a sample aspect ratio and colour
tags; what the container takes of that is the input. It goes through FileSource and FileSink, and both that and
FFmpeg's own `-c copy` are compared with the input.

    python benchmarks/kept.py [--out docs/kept.md]
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import tempfile
from pathlib import Path

import av

from streamdehaze.errors import StreamDehazeError
from streamdehaze.video import FileSink, FileSource
from streamdehaze.video.readback.compare import differences
from streamdehaze.video.readback.facts import read_facts

VIDEO = {
    "h264": ("libx264", "-preset", "ultrafast"),
    "hevc": ("libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "av1": ("libsvtav1", "-preset", "12"),
    "vp8": ("libvpx", "-deadline", "realtime"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime"),
    "prores": ("prores_ks",),
    "dnxhd": ("dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p"),
    "dvvideo": ("dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p"),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "wmv2": ("wmv2",),
    "mjpeg": ("mjpeg",),
    "ffv1": ("ffv1",),
    "rawvideo": ("rawvideo", "-pix_fmt", "yuv420p"),
    "huffyuv": ("huffyuv", "-pix_fmt", "yuv422p"),
    "utvideo": ("utvideo", "-pix_fmt", "yuv420p"),
}
CONTAINERS = {
    "mp4": ("aac", "h264 hevc av1 vp9 mpeg2video mpeg4 mjpeg"),
    "mov": ("aac", "h264 hevc prores dnxhd dvvideo mpeg2video mpeg4 mjpeg"),
    "mkv": ("aac", "h264 hevc av1 vp8 vp9 prores mpeg2video mpeg4 mjpeg ffv1 dvvideo huffyuv utvideo wmv2"),
    "webm": ("libopus", "av1 vp8 vp9"),
    "avi": ("mp2", "h264 mpeg4 mjpeg dvvideo ffv1 rawvideo huffyuv utvideo"),
    "ts": ("aac", "h264 hevc mpeg2video mpeg4"),
    "m2ts": ("ac3", "h264 hevc mpeg2video"),
    "mpg": ("mp2", "mpeg2video"),
    "mxf": ("pcm_s16le", "h264 mpeg2video dnxhd"),
    "wmv": ("wmav2", "wmv2 h264"),
    "flv": ("aac", "h264"),
    "3gp": ("aac", "h264 mpeg4"),
    "dv": ("pcm_s16le", "dvvideo"),
    "nut": ("aac", "h264 ffv1 rawvideo"),
}
_X265 = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-preset", "ultrafast", "-x265-params")
_DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
_HDR = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
_FIELDS = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme")
CARRIED = {
    "film grain of AV1": ("mkv", ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "film-grain=30")),
    "HDR10 in HEVC": ("mp4", (*_X265, f"log-level=none:hdr10=1:master-display={_DISPLAY}:max-cll=1000,400", *_HDR)),
    "HDR10 in HEVC, Matroska": (
        "mkv", (*_X265, f"log-level=none:hdr10=1:master-display={_DISPLAY}:max-cll=1000,400", *_HDR)
    ),
    "HLG in HEVC": ("mp4", (*_X265, "log-level=none", *_HDR[:2], "-color_trc", "arib-std-b67", *_HDR[4:])),
    "fields of H.264": ("mp4", ("-c:v", "libx264", *_FIELDS)),
    "fields of MPEG-2": ("ts", ("-c:v", "mpeg2video", *_FIELDS)),
    "fields of ProRes": ("mov", ("-c:v", "prores_ks", *_FIELDS)),
    "chroma location": ("mkv", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-chroma_sample_location", "topleft")),
    "full range": ("mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-color_range", "pc")),
    "user data (SEI)": (
        "mp4",
        ("-c:v", "libx264", "-bsf:v", "h264_metadata=sei_user_data='086f3693-b7b3-4f2c-9653-21492feee5b8+fog'"),
    ),
    "time code track": ("mov", ("-c:v", "libx264", "-timecode", "01:02:03:04")),
    "place and camera (mdta)": (
        "mov",
        ("-c:v", "libx264", "-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.model=iPhone",
         "-metadata", "com.apple.quicktime.location.ISO6709=+48.1000+011.5000/"),
    ),
    "name of a channel": (
        "ts", ("-c:v", "libx264", "-metadata", "service_name=Fog TV", "-metadata", "service_provider=Fog")
    ),
    "transparency": ("mov", ("-vf", "format=yuva444p10le", "-c:v", "prores_ks", "-profile:v", "4444")),
    "transparency of VP9": ("webm", ("-vf", "format=yuva420p", "-c:v", "libvpx-vp9", "-deadline", "realtime")),
}  # fmt: skip
CHAPTERS = ";FFMETADATA1\ntitle=Fog\ncomment=cold\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=into\n" \
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=out\n"  # fmt: skip


def make(folder: Path, container: str, codec: str, sound: str) -> Path | None:
    """A film for a container and codec; None if this FFmpeg cannot make it."""
    (folder / "chapters.txt").write_text(CHAPTERS)
    path = folder / f"in.{container}"
    size = "720x576" if codec == "dvvideo" else "320x240"
    command = [
        "ffmpeg", "-v", "error", "-nostdin", "-y",
        "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1:r=48000",
        "-f", "lavfi", "-i", "sine=f=220:d=1:r=48000", "-i", folder / "chapters.txt",
        "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map_metadata", "3", "-map_chapters", "3",
        "-vf", "null" if codec == "dvvideo" else "setsar=4/3",  # DV has two aspect ratios of its own
        "-c:v", *VIDEO[codec], "-c:a", sound,
        *(["-ac", "2"] if container == "dv" else []), "-metadata:s:a:0", "language=fra",
        "-metadata:s:a:1", "language=deu",
        "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and container in ("flv", "dv"):  # one sound only
        done = subprocess.run(
            [*command[: command.index("2:a") - 1], *command[command.index("2:a") + 1 :]],
            capture_output=True,
            check=False,
        )
    return path if done.returncode == 0 else None


def made_with(folder: Path, container: str, options: tuple[str, ...]) -> Path | None:
    """A film of a second whose pictures carry something; None if this FFmpeg cannot make it."""
    path = folder / f"in.{container}"
    pictures = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1")
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *pictures, *options, path], check=False)
    return path if done.returncode == 0 else None


def measured(folder: Path, source: Path) -> list[str]:
    """The encoder taken, what it lacks, and what FFmpeg's copy lacks."""
    try:
        encoder, losses = through(source, folder / f"out{source.suffix}")
    except StreamDehazeError as error:
        encoder, losses = "", [f"refused: {error}"]
    reference = copied(source, folder / f"copy{source.suffix}")
    return [encoder, "; ".join(losses) or "nothing", "; ".join(reference) or "nothing"]


def through(source: Path, target: Path) -> tuple[str, list[str]]:
    """Encoder and losses of every frame of `source` written into `target`."""
    with FileSource(source) as frames, FileSink(target, frames, overwrite=True) as sink:
        for frame in frames:
            sink.write(frame)
    return sink.encoder, sink.losses


def copied(source: Path, target: Path) -> list[str]:
    """What FFmpeg's own copy of all streams lacks."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", source, "-map", "0", "-dn", "-c", "copy", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"fails: {done.stderr.strip().splitlines()[0].partition('] ')[2]}"]
    return [str(each) for each in differences(read_facts(str(source)), read_facts(str(target)))]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/kept.md"))
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    rows, carried = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for container, (sound, codecs) in CONTAINERS.items():
            for codec in codecs.split():
                source = make(folder, container, codec, sound)
                if source is None:
                    continue
                rows.append([f".{container}", codec, *measured(folder, source)])
                print(" | ".join(rows[-1]), flush=True)
        for what, (container, options) in CARRIED.items():
            source = made_with(folder, container, options)
            if source is not None:
                carried.append([what, f".{container}", *measured(folder, source)])
                print(" | ".join(carried[-1]), flush=True)
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
    version = said.split(" Copy")[0]
    lines = [
        "# What is kept",
        "",
        "Made by `python benchmarks/kept.py`: small films with sound in two languages, chapters, tags, aspect ratio",
        "and colour tags, as far as their container takes these, written once more into the same container, and",
        "compared with the input by the comparer that `streamdehaze run` uses. What is not named was kept. FFmpeg's",
        "own `-c copy` is held against the same input; the programs were",
        f"{version} and FFmpeg {av.ffmpeg_version_info} in PyAV {av.__version__}.",
        "",
        "| container | codec | written by | lacks, and says so | `ffmpeg -map 0 -dn -c copy` lacks |",
        "|---|---|---|---|---|",
        *map(_line, rows),
        "",
        "## What else pictures and files carry",
        "",
        "| what | container | written by | lacks, and says so | `ffmpeg -map 0 -dn -c copy` lacks |",
        "|---|---|---|---|---|",
        *map(_line, carried),
    ]
    arguments.out.write_text("\n".join(lines) + "\n")


def _line(row: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |"


if __name__ == "__main__":
    main()
