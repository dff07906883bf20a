// Clips of one camera: asked for here, listed while they are recorded, and downloaded.
import { readClips, recordClip } from "./api.js";
import { clipName, megabytes } from "./words.js";

const READ_MILLISECONDS = 10000;
const SHOWN = 6;

export class Clips {
  #name;
  #block;
  #tell;
  #readAt = -READ_MILLISECONDS;

  constructor(block, name, tell) {
    this.#name = name;
    this.#block = block;
    this.#tell = tell;
    this.#button.addEventListener("click", () => this.#record());
  }

  get #button() {
    return this.#block.querySelector("[data-slot=clip]");
  }

  update(camera, mayChange) {
    this.#block.hidden = !camera.clips;
    this.#button.disabled = !mayChange;
    if (!camera.clips || performance.now() - this.#readAt < READ_MILLISECONDS) return;
    this.#readAt = performance.now();
    readClips(this.#name).then((known) => this.#list(known), () => {}); // the next time brings another
  }

  #record() {
    this.#button.disabled = true;
    recordClip(this.#name).then(() => this.#tell(""), (error) => this.#tell(error.message));
    this.#readAt = -READ_MILLISECONDS;
  }

  #list({ clips, files }) {
    const open = clips.filter((clip) => clip.state !== "finished").reverse();
    if (open.some((clip) => clip.state === "recording")) this.#readAt = performance.now() - READ_MILLISECONDS + 1000;
    const items = open.map((clip) => entry(clipName(clip.file), clip.state === "failed" ? clip.message : "being recorded"));
    for (const file of files) items.push(entry(clipName(file.name), megabytes(file.bytes), file.path));
    this.#block.querySelector("ul").replaceChildren(...items.slice(0, SHOWN));
  }
}

function entry(text, details, path = null) {
  const item = document.createElement("li");
  const name = document.createElement(path ? "a" : "span");
  name.textContent = text;
  if (path) {
    name.href = path;
    name.download = "";
  }
  const more = document.createElement("small");
  more.textContent = details;
  item.append(name, more);
  return item;
}
