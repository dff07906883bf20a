"""Log and HDR footage: published curves and their inverses, and as much gain in fog as the same picture in BT.709."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from doubles import EngineDouble
from streamdehaze import Dehazer, Frame
from streamdehaze.cli import main
from streamdehaze.control.curves import INPUT_CURVES, InputCurve, curve_of, light_of, to_display, to_signal
from streamdehaze.errors import ConfigError
from streamdehaze.fidelity import psnr
from streamdehaze.frame import ColorSpec
from streamdehaze.pipeline import open_source
from streamdehaze.scene import Fog, StreetScene

CURVES = [curve for curve in INPUT_CURVES if curve not in ("auto", "sdr")]
MIDDLE_GREY = {
    "slog3": 420 / 1023, "logc3": 0.391, "logc4": 0.2784, "vlog": 0.423, "dlog": 0.3987, "clog3": 0.343, "pq": 0.4109,
    "applelog": 0.4883,
}  # fmt: skip
"""The signal of a grey card of 18 % as each maker publishes it; of PQ for 36.5 cd/m²."""
SHOWN = 1.099 * 0.18**0.45 - 0.099
"""A grey card in BT.709."""

Floats = npt.NDArray[np.float32]


@pytest.mark.parametrize("curve", MIDDLE_GREY)
def test_a_grey_card_is_shown_as_bt709_shows_it(curve: InputCurve) -> None:
    shown = to_display(np.full((3, 1, 1), MIDDLE_GREY[curve], np.float32), curve)
    assert shown == pytest.approx(SHOWN, abs=0.012)


@pytest.mark.parametrize("curve", CURVES)
def test_curves_rise_and_invert(curve: InputCurve) -> None:
    signal = np.linspace(0.16, 1, 200, dtype=np.float32).reshape(1, 1, -1).repeat(3, axis=0)
    shown = to_display(signal, curve)
    assert (np.diff(shown[0, 0]) > 0).all()
    assert shown.max() == pytest.approx(1, abs=1e-6)
    assert to_signal(shown, curve) == pytest.approx(signal, abs=2e-3)


@pytest.mark.parametrize("curve", CURVES)
def test_a_bright_tinted_sky_keeps_its_tint_and_inverts(curve: InputCurve) -> None:
    """Paler than the fog before it, the sky would not tell the colour of the fog."""
    light = np.array([0.55, 0.75, 0.95])
    signals = np.linspace(0, 1, 2000)
    signal = np.interp(light, light_of(signals, curve), signals).astype(np.float32).reshape(3, 1, 1)
    shown = to_display(signal, curve)
    tint = 1.099 * light**0.45 - 0.099
    np.testing.assert_allclose(shown.ravel() / shown.max(), tint / tint.max(), atol=2e-3)
    np.testing.assert_allclose(to_signal(shown, curve), signal, atol=2e-3)


def test_tags_name_the_curve_unless_one_is_asked_for() -> None:
    assert [curve_of("auto", ColorSpec(transfer=t)) for t in (1, 2, 16, 18)] == ["sdr", "sdr", "pq", "hlg"]
    assert curve_of("slog3", ColorSpec(transfer=16)) == "slog3"
    assert curve_of("sdr", ColorSpec(transfer=18)) == "sdr"


def film(path: Path, **notes: str) -> Path:
    """A frame with notes in its container."""
    with av.open(path, "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(notes)
        stream = container.add_stream("mpeg4", 25)
        stream.width, stream.height = 32, 32
        for picture in (av.VideoFrame(32, 32), None):
            container.mux(stream.encode(picture))
    return path


PANASONIC = "<ClipMain><UserArea><p:Gamma><CaptureGamma>{}</CaptureGamma></p:Gamma></UserArea></ClipMain>"


@pytest.mark.parametrize(
    ("key", "value", "curve"),
    [
        ("com.arri.camera.ColorGammaSxS", "LOG-C", "logc3"),
        ("com.arri.camera.ColorGammaSxS", "REC 709", "sdr"),
        ("com.dji.camera.ColorGammaSxS", "D-Log", "dlog"),
        ("com.dji.camera.ColorGammaSxS", "D-Log2", "sdr"),
        ("com.atomos.hdr.gamma", "VLog", "vlog"),
        ("com.apple.proapps.customgamma", "com.apple.rec2020.apple-log", "applelog"),
        ("com.panasonic.Semi-Pro.metadata.xml", PANASONIC.format("V-LogL"), "vlog"),
        ("com.panasonic.Semi-Pro.metadata.xml", PANASONIC.format("CINELIKE_V"), "sdr"),
    ],
)
def test_a_cameras_note_of_its_log_curve_is_read_from_the_file(
    tmp_path: Path, key: str, value: str, curve: InputCurve
) -> None:
    path = film(tmp_path / "clip.mov", **{key: value})
    assert noted(path) == curve


@pytest.mark.parametrize(("value", "curve"), [("s-log3-cine", "slog3"), ("rec709-xvycc", "sdr"), (None, "sdr")])
def test_sonys_note_next_to_a_clip_is_read(tmp_path: Path, value: str | None, curve: InputCurve) -> None:
    path = film(tmp_path / "C0001.mp4")
    if value is not None:
        item = f'<Item name="CaptureGammaEquation" value="{value}"/>'
        (tmp_path / "C0001M01.XML").write_text(f"<NonRealTimeMeta>{item}</NonRealTimeMeta>")
    assert noted(path) == curve


def noted(path: Path) -> InputCurve:
    """The curve that `auto` chooses for all frames of a file."""
    with open_source(str(path)) as source:
        (found,) = {curve_of("auto", color) for color in (source.info.color, *(frame.color for frame in source))}
    assert curve_of("slog3", source.info.color) == "slog3", "what is asked for wins"
    return found


@functools.cache
def street() -> tuple[Floats, Floats]:
    """Through fog, and clear, in BT.709."""
    scene = StreetScene(384, 216, frames=2, seed=5).render(0)
    return Fog(visibility_metres=120).apply(scene.clear, scene.depth_metres), scene.clear


@pytest.fixture(scope="module")
def dehazer() -> Iterator[Dehazer]:
    with Dehazer("aecrnet-s", engine="torch", brightness="natural") as made:
        yield made


def gain(dehazer: Dehazer, footage: InputCurve, taken_for: InputCurve) -> float:
    """Gain in dB, in BT.709, of a foggy street in 16-bit footage of one curve that is read as another."""

    def encoded(picture: Floats) -> Frame:
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
        signal = to_signal(planes, footage).transpose(1, 2, 0)
        return Frame.from_array((np.clip(signal, 0, 1) * 65535 + 0.5).astype(np.uint16))

    def shown(frame: Frame) -> npt.NDArray[np.uint8]:
        planes = np.ascontiguousarray((frame.to_array() / np.float32(65535)).transpose(2, 0, 1))
        return (np.clip(to_display(planes, footage).transpose(1, 2, 0), 0, 1) * 255 + 0.5).astype(np.uint8)

    hazy, clear = (encoded(picture) for picture in street())
    stream = dehazer.stream(input_curve=taken_for)
    (((result,),)) = dehazer.process_many([(stream, hazy)])
    return psnr(shown(result), shown(clear)) - psnr(shown(hazy), shown(clear))


@pytest.mark.parametrize("curve", ["slog3", "logc3", "vlog", "pq", "hlg"])
def test_fog_in_log_gains_as_in_bt709(dehazer: Dehazer, curve: InputCurve) -> None:
    usual = gain(dehazer, "sdr", "sdr")
    assert gain(dehazer, curve, curve) > 0.8 * usual
    assert gain(dehazer, curve, "sdr") < 0.7 * usual


def test_an_unknown_curve_is_refused_with_the_list_of_curves() -> None:
    with pytest.raises(ConfigError, match="input curve must be one of auto, sdr, slog3"):
        Dehazer("aecrnet-s", engine="torch", input_curve="slog2")  # type: ignore[arg-type]
    done = CliRunner().invoke(main, ["run", "x.mp4", "--input-curve", "slog2"])
    assert done.exit_code == 2
    assert "'slog3'" in done.output


@pytest.mark.parametrize(("curve", "bits"), [("logc4", 8), ("pq", 8), ("slog3", 8), ("pq", 16)])
def test_a_curve_that_needs_more_than_eight_bits_is_refused(tmp_path: Path, curve: InputCurve, bits: int) -> None:
    picture = np.full((16, 16, 3), 100 << (bits - 8), np.uint8 if bits == 8 else np.uint16)
    dehazer = Dehazer(engine=EngineDouble(), network_size=64, input_curve=curve)
    if bits > 8 or curve == "slog3":
        assert dehazer(picture).shape == picture.shape
        return
    with pytest.raises(ConfigError, match=f"{curve} footage has 10 bits a sample or more, and this has 8"):
        dehazer(picture)
    out = tmp_path / "out.mp4"
    done = CliRunner().invoke(main, ["run", str(film(tmp_path / "film.mp4")), "-o", str(out), "--input-curve", curve])
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert not out.exists()


@pytest.mark.parametrize("curve", ["sdr", "slog3", "logc3"])
def test_black_bars_are_kept_to_the_pixel_in_log_footage_too(curve: InputCurve) -> None:
    shown = np.random.default_rng(0).uniform(0.3, 0.8, (144, 256, 3)).astype(np.float32)
    shown[:21] = shown[-21:] = 0
    signal = (to_signal(shown, curve) * 65535).astype(np.uint16)
    clear = Dehazer(engine=EngineDouble(), network_size=64, input_curve=curve)(signal)
    kept = (clear == signal).all(axis=(1, 2))
    assert kept[:21].all()
    assert kept[-21:].all()
    assert not kept[21:-21].any()
