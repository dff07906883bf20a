// How a camera's status is put into words.

const STATES = {
  connecting: "Connecting",
  running: "Running",
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

export const milliseconds = (seconds) => (seconds > 0 ? `${Math.round(seconds * 1000)} ms` : "–");

export const figures = (camera) =>
  camera.state === "running" ? `${camera.fps_out.toFixed(1)} fps · ${milliseconds(camera.latency_p50_seconds)}` : "";

function latency(camera) {
  if (!camera.latency_p99_seconds) return "–";
  return `${milliseconds(camera.latency_p50_seconds)} median, ${milliseconds(camera.latency_p99_seconds)} p99`;
}

// What covers the picture of a camera that does not run.
export function veil(camera) {
  if (camera.state === "running") return "";
  return camera.message ? `${stateName(camera)}: ${camera.message}` : stateName(camera);
}

// [term, text] rows for the table of facts.
export function facts(camera) {
  const count = (number) => number.toLocaleString("en");
  const drops = Object.entries(camera.dropped).filter(([, frames]) => frames > 0);
  const dropped = drops.reduce((sum, [, frames]) => sum + frames, 0);
  return [
    ["Picture", camera.width ? `${camera.width} × ${camera.height}${camera.codec ? `, ${camera.codec}` : ""}` : "–"],
    ["Frames in", `${camera.fps_in.toFixed(1)} fps, ${count(camera.frames_in)} so far`],
    ["Frames out", `${camera.fps_out.toFixed(1)} fps, ${count(camera.frames_out)} so far`],
    ["Latency", latency(camera)],
    ["Dropped", dropped ? count(dropped) : "none", drops.map(([why, n]) => `${count(n)} ${REASONS[why] ?? why}`)],
    ["Waiting", `${camera.buffered} of ${camera.buffer_limit} frames`],
    ["Reconnects", count(camera.reconnects)],
    ["Quality", camera.adapt_text],
    ["Engine", camera.engine || "–"],
    ["Address", camera.url],
    ...camera.sinks.map((sink) => ["Output", sink.name, sink.connected ? [] : [sink.message || "not connected"]]),
  ];
}
