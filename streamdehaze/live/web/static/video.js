// Pictures by WebRTC, where server and browser can: H.264 instead of single JPEGs.

const CONNECT_MILLISECONDS = 4000;

export const canWatchVideo = () =>
  "RTCPeerConnection" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype;

// Calls show(video element) for every picture until the signal aborts or the connection ends; says whether it ever had
// one. Hazy lies left, clear right, as in the stream of JPEGs.
export async function watchVideo(url, signal, show) {
  const peer = new RTCPeerConnection();
  const video = document.createElement("video");
  video.muted = true;
  let shown = false;
  try {
    let giveUp;
    const ended = new Promise((resolve) => {
      giveUp = resolve;
      signal.addEventListener("abort", resolve);
      peer.onconnectionstatechange = () => ["failed", "disconnected"].includes(peer.connectionState) && resolve();
    });
    peer.ontrack = (event) => {
      event.receiver.jitterBufferTarget = 0; // the newest picture, not the smoothest
      video.srcObject = new MediaStream([event.track]);
      video.play();
    };
    const next = () => {
      shown = true;
      if (!signal.aborted) show(video);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    peer.addTransceiver("video", { direction: "recvonly" });
    await peer.setLocalDescription();
    await gathered(peer);
    const { sdp, type } = peer.localDescription;
    const answer = await fetch(url, {
      method: "POST",
      body: JSON.stringify({ sdp, type }),
      headers: { "Content-Type": "application/json" },
      signal,
    });
    if (!answer.ok) return false;
    await peer.setRemoteDescription(await answer.json());
    setTimeout(() => shown || giveUp(), CONNECT_MILLISECONDS);
    await ended;
  } catch (error) {
    if (!signal.aborted) console.info(`no video by WebRTC: ${error.message}`);
  } finally {
    peer.close();
    video.srcObject = null;
  }
  return shown;
}

function gathered(peer) {
  return new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") resolve();
    else peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
  });
}
