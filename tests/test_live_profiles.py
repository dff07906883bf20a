"""Profiles of cameras: by time of day, by haze, and by choice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import httpx
import pytest

from clips import Clip
from doubles import quick_dehazer
from live_feed import web_page
from streamdehaze.errors import ConfigError
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.config import check_config, read_config
from streamdehaze.live.profiles import ProfileChoice, ProfileConfig
from streamdehaze.meter.reading import Reading
from waiting import wait_until

TABLES = """
[profile.fog]
brightness = "natural"
haze_above = 0.5
[profile.night]
enabled = false
after = "22:00"
until = 05:30:00
[profile.wedding]
strength = 0.3
[[camera]]
name = "gate"
url = "rtsp://h/s"
"""


def reading(density: float, *, dark: bool = False) -> Reading:
    return Reading(density, (0.8, 0.8, 0.8), dark, agreed=density)


@pytest.fixture
def profiles(tmp_path: Path) -> dict[str, ProfileConfig]:
    path = tmp_path / "cameras.toml"
    path.write_text(TABLES)
    return read_config(path).profile


def test_the_first_profile_whose_condition_holds_is_taken(profiles: dict[str, ProfileConfig]) -> None:
    now = [0.0]
    choice = ProfileChoice(lambda: profiles, clock=lambda: now[0])

    def at(clock: str, haze: Reading | None = None, seconds: float = 0.0) -> str:
        moment = datetime.fromisoformat(f"2026-11-28T{clock}").timestamp()
        now[0] = moment
        choice.current(haze)
        now[0] = moment + seconds
        return choice.current(haze)[0]

    by_day = [at(clock) for clock in ("12:00", "21:59:59", "05:30")]
    by_night = [at(clock) for clock in ("22:00", "23:30", "00:00", "05:29")]
    assert set(by_day) == {""}
    assert set(by_night) == {"night"}
    assert at("12:00", reading(0.6), 59) == ""
    assert at("12:01", reading(0.6), 60) == "fog"
    assert at("22:30", reading(0.45), 300) == "fog", "before the night, which comes after it; until it is a fifth lower"
    assert at("23:00", reading(0.1, dark=True), 300) == "fog", "the haze is unknown in the dark"
    assert at("23:30", reading(0.39), 60) == "night"
    choice.choose("wedding")
    assert choice.current(None) == ("wedding", {"strength": 0.3})
    choice.choose("none")
    assert choice.current(None) == ("", {})
    with pytest.raises(ConfigError, match="there is no profile 'day'; there are auto, none, fog, night, wedding"):
        choice.choose("day")


def test_what_is_wrong_with_a_profile_is_named() -> None:
    values = {
        "profile": {"auto": {}, "fog": {"strenght": 1}, "dusk": {"haze_above": 2}},
        "camera": [{"name": "gate", "url": "rtsp://h/s"}],
    }
    with pytest.raises(ConfigError) as error:
        check_config(values, "cameras.toml")
    text = str(error.value)
    assert "profile, fog, strenght: there is no such option; did you mean strength?" in text
    assert "profile, dusk, haze_above: write a number below 1" in text
    with pytest.raises(ValueError, match="after and until go together"):
        ProfileConfig.model_validate({"after": "06:00"})
    values["profile"] = {"fog": {}}
    values["camera"] = [{"name": "gate", "url": "rtsp://h/s", "profile": "frog"}]
    with pytest.raises(
        ConfigError, match="camera 'gate', profile: there is no profile 'frog'; there are auto, none, fog"
    ):
        check_config(values, "cameras.toml")


def test_a_camera_takes_a_profile_on_and_off_without_being_opened_again(
    tmp_path: Path, profiles: dict[str, ProfileConfig]
) -> None:
    film = Clip().write(tmp_path / "film.mp4")
    config = CameraConfig(
        name="gate", url=str(film), loop=True, realtime=True, strength=0.8, mode="auto", profile="none"
    )
    with LivePipeline([config], dehazer=quick_dehazer(), profiles=profiles) as pipeline, web_page(pipeline) as server:
        gate = pipeline.cameras["gate"]

        def change(**values: object) -> httpx.Response:
            return httpx.patch(server.url + "api/cameras/gate", json=values)

        answer = change(profile="wedding").json()
        assert (answer["profile"], answer["strength"], answer["profiles"]) == ("wedding", 0.3, [*profiles])
        answer = change(profile="night", strength=0.5).json()
        assert (answer["enabled"], answer["strength"]) == (False, 0.5)
        change(profile="fog")
        assert (gate.enabled, gate.strength, gate.stream.brightness) == (True, 0.5, "natural")
        refusal = change(profile="day")
        assert (refusal.status_code, "there is no profile 'day'" in refusal.json()["error"]) == (422, True)
        other = {**profiles, "fog": ProfileConfig(strength=0.2, brightness="natural")}
        pipeline.reload([config.model_copy(update={"brightness": "natural", "mode": "on"})], other)
        assert pipeline.cameras["gate"] is gate
        wait_until(lambda: gate.strength == 0.2, "the profile's new setting")
        assert gate.stream.mode == "on"
        change(profile="none")
        assert (gate.strength, gate.stream.brightness) == (0.8, "natural")


def test_a_reload_that_is_refused_leaves_cameras_and_profiles_as_they_were(profiles: dict[str, ProfileConfig]) -> None:
    config = CameraConfig(name="gate", url="rtsp://h/s")
    pipeline = LivePipeline([config], dehazer=quick_dehazer(), profiles=profiles)
    gate = pipeline.cameras["gate"]
    brighter = config.model_copy(update={"strength": 0.5})
    for wrong in ([brighter, brighter], [brighter.model_copy(update={"profile": "day"})]):
        with pytest.raises(ConfigError, match=r"two cameras are called 'gate'|there is no profile 'day'"):
            pipeline.reload(wrong, {"fog": ProfileConfig()})
        assert gate.status().profiles == tuple(profiles)
        assert gate.config == config
    pipeline.reload([brighter], {"fog": ProfileConfig()})
    assert (gate.status().profiles, gate.strength) == (("fog",), 0.5)
