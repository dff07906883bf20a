// Asks for the cameras' status once a second and shows the wall or, by the address after "#", one camera.
import { readCameras } from "./api.js";
import { View } from "./camera.js";
import { Wall } from "./wall.js";
import { census } from "./words.js";

const POLL_MILLISECONDS = 1000;
const main = document.getElementById("main");
const summary = document.getElementById("summary");
const reduced = document.getElementById("reduced");
const notice = document.getElementById("notice");
const offersVideo = readCameras().then(({ video }) => video, () => false);
let view = null;

function tell(problem) {
  notice.textContent = problem && problem.charAt(0).toUpperCase() + problem.slice(1);
  notice.hidden = !problem;
}

function route() {
  view?.leave();
  const name = decodeURIComponent(location.hash.slice(1));
  document.title = name ? `${name} – StreamDehaze` : "StreamDehaze";
  view = name ? new View(main, name, tell, offersVideo) : new Wall(main, tell);
  scrollTo(0, 0);
}

function summarise(cameras) {
  const { text, others } = census(cameras);
  summary.replaceChildren(document.createElement("strong"));
  summary.firstChild.textContent = text;
  for (const [state, words] of others) {
    const chip = document.createElement("span");
    chip.className = "chip";
    chip.dataset.tone = state;
    chip.textContent = words;
    summary.append(chip);
  }
  const level = Math.max(0, ...cameras.map((camera) => camera.adapt_level));
  reduced.hidden = !level;
  reduced.textContent = `Reduced quality, level ${level}`;
  reduced.title = level ? `The processor is short of time: ${cameras[0].adapt_text}` : "";
}

let contact = true;

async function poll() {
  try {
    const { cameras, login, role } = await readCameras();
    document.body.dataset.role = role;
    summarise(cameras);
    document.getElementById("logout").hidden = !login;
    view.update(cameras);
    if (!contact) {
      tell("");
      view.show(!document.hidden); // the connection of the stream may be half dead
    }
    contact = true;
  } catch {
    contact = false;
    tell("No contact with StreamDehaze; trying again …");
  }
}

async function keepPolling() {
  for (;;) {
    if (!document.hidden) await poll();
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

addEventListener("hashchange", () => {
  route();
  poll();
});
document.addEventListener("visibilitychange", () => view.show(!document.hidden));
route();
keepPolling();
