// How a camera's status is put into words.

const STATES = {
  connecting: "Connecting",
  running: "Running",
  unclear: "Not clear",
  stalled: "Stalled",
  backing_off: "Waiting to retry",
  failed: "Failed",
  ended: "Ended",
};
const REASONS = {
  buffer_full: "no room before the engine",
  stale: "too old",
  over_limit: "above the frame limit",
  waiting_for_keyframe: "before the first keyframe",
  damaged: "damaged",
  sink_full: "output too slow",
  sink_down: "output not connected",
};

export const stateName = (camera) => STATES[camera.state] ?? camera.state;

export const percent = (share) => `${Math.round(100 * share)} %`;

// "42 %, mist"
export function hazeWords(haze) {
  if (!haze) return "not measured";
  return haze.dark ? "too dark to tell" : `${percent(haze.density)}, ${haze.class}`;
}

export const milliseconds = (seconds) => (seconds > 0 ? `${Math.round(seconds * 1000)} ms` : "–");

// "4.2 MB"
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

// A clip's file without its folder and the distance from UTC: "gate-20261128-101914.mkv"
export const clipName = (path) => path.split("/").at(-1).replace(/[+-]\d{4}(?=(-\d+)?\.)/, "");

// "40 s", "12 min", "3 h 5 min", "2 d 4 h"
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

// "2 of 5 running", and [state, "1 failed"] for what else there is.
export function census(cameras) {
  const number = (...states) => cameras.filter((camera) => states.includes(camera.state)).length;
  const others = [
    ["unclear", number("unclear"), "not clear"],
    ["backing_off", number("connecting", "stalled", "backing_off"), "not connected"],
    ["failed", number("failed"), "failed"],
    ["ended", number("ended"), "ended"],
  ];
  return {
    text: `${number("running")} of ${cameras.length} running`,
    others: others.filter(([, count]) => count).map(([state, count, words]) => [state, `${count} ${words}`]),
  };
}

// What an operator should know about a camera besides its state: [kind, text] each.
export function remarks(camera) {
  const said = [];
  if (!camera.enabled) said.push(["plain", "Haze kept"]);
  else if (camera.strength !== 1) said.push(["plain", `Strength ${percent(camera.strength)}`]);
  if (camera.state === "running" && camera.sinks.some((sink) => !sink.connected)) said.push(["wait", "Output down"]);
  return said;
}

// "since 28/11/2026, 14:03:07 (12 min)", by the viewer's clock
function downSince(camera) {
  const since = new Date(camera.down_since * 1000);
  const day = since.toDateString() === new Date().toDateString() ? {} : { dateStyle: "short" };
  return `since ${since.toLocaleString([], { timeStyle: "medium", ...day })} (${duration(camera.down_seconds)})`;
}

// [value, text] of everything that may be chosen as a camera's profile.
export function profileOptions(camera) {
  const now = camera.profile_choice === "auto" ? ` (now ${camera.profile || "none"})` : "";
  return [["auto", `By time and haze${now}`], ["none", "None"], ...camera.profiles.map((name) => [name, name])];
}

// How fast a camera is or, if it does not run, how long ago it did.
export function figures(camera) {
  if (camera.state === "running") {
    const haze = camera.haze && !camera.haze.dark ? ` · haze ${percent(camera.haze.density)}`.replace(/ (?=[\d%])/g, "\u00a0") : "";
    return `${camera.fps_out.toFixed(1)} fps · ${milliseconds(camera.latency_p50_seconds)}${haze}`;
  }
  if (camera.state === "unclear") return `${camera.fps_in.toFixed(1)} fps arrive`;
  const age = camera.frame_age_seconds;
  return age === null ? "No picture yet" : `Last picture ${duration(age)} ago`;
}

function latency(camera) {
  if (!camera.latency_p99_seconds) return "–";
  return `${milliseconds(camera.latency_p50_seconds)} median, ${milliseconds(camera.latency_p99_seconds)} p99`;
}

// What the camera's own clock shows; frames need a moment to get here, so a small lag is no difference.
function clock(lag) {
  if (lag === null) return "not reported";
  const apart = Math.abs(lag).toFixed(Math.abs(lag) < 10 ? 1 : 0);
  if (lag >= 0 && lag < 2) return `agrees, frames ${apart} s later`;
  return lag < 0 ? `${apart} s ahead` : `${apart} s behind`;
}

// Why a camera shows nothing new; "" while it runs.
export function reason(camera) {
  if (camera.state === "running") return "";
  const said = camera.message || stateName(camera);
  return /^[a-z]+ /.test(said) ? said.charAt(0).toUpperCase() + said.slice(1) : said; // (an address stays as it is)
}

// Whether that needs someone ("failed"), will pass by itself ("wait"), or is as it should be ("").
export function trouble(camera) {
  if (camera.state === "failed") return "failed";
  return ["running", "ended"].includes(camera.state) || !camera.message ? "" : "wait";
}

// [term, text, further lines, whether these tell of trouble] rows for the table of facts.
export function facts(camera) {
  const count = (number) => number.toLocaleString("en");
  const drops = Object.entries(camera.dropped).filter(([, frames]) => frames > 0);
  const dropped = drops.reduce((sum, [, frames]) => sum + frames, 0);
  return [
    ["Picture", camera.width ? `${camera.width} × ${camera.height}${camera.codec ? `, ${camera.codec}` : ""}` : "–"],
    ["Frames in", `${camera.fps_in.toFixed(1)} fps, ${count(camera.frames_in)} so far`],
    [
      "Frames out",
      `${camera.fps_out.toFixed(1)} fps, ${count(camera.frames_out)} so far`,
      camera.frames_hazy ? [`${count(camera.frames_hazy)} more passed hazy`] : [],
    ],
    ["Latency", latency(camera)],
    ["Dropped", dropped ? count(dropped) : "none", drops.map(([why, n]) => `${count(n)} ${REASONS[why] ?? why}`)],
    ["Waiting", `${camera.buffered} of ${camera.buffer_limit} frames`],
    ["Reconnects", count(camera.reconnects)],
    [
      "Quality",
      camera.adapt_level ? `reduced, level ${camera.adapt_level}` : "full",
      [camera.adapt_text],
      camera.adapt_level > 0,
    ],
    ["Engine", camera.engine || "–"],
    camera.down_since === null ? ["Running", `for ${duration(camera.state_seconds)}`] : ["Down", downSince(camera)],
    ["Camera’s clock", clock(camera.clock_lag_seconds)],
    ["Address", camera.url],
    ...(camera.sub_state ? [["Shown", camera.sub_state === "running" ? "the low stream" : `the main stream; the low one: ${STATES[camera.sub_state]}`]] : []),
    ...camera.sinks.map((sink) => ["Output", sink.file || sink.name, sink.connected ? [] : [sink.message || "not connected"], true]),
  ];
}
