// One camera: before and after with a divider, controls, facts.
import { Changes } from "./api.js";
import { Clips } from "./clips.js";
import { Divider } from "./divider.js";
import { Haze } from "./haze.js";
import { showRemarks, showVeil } from "./overlay.js";
import { watch } from "./stream.js";
import { canWatchVideo, watchVideo } from "./video.js";
import { facts, figures, percent, profileOptions, stateName } from "./words.js";

const MAXIMUM_WIDTH = 1280;

export class View {
  #name;
  #tell;
  #offersVideo;
  #changes;
  #canvas;
  #slots;
  #divider;
  #haze;
  #clips;
  #newest = null; // hazy and clear of one frame, side by side
  #stream = null;
  #left = false;

  constructor(main, name, tell, offersVideo) {
    this.#name = name;
    this.#offersVideo = offersVideo;
    this.#tell = tell;
    this.#changes = new Changes(name);
    main.replaceChildren(document.getElementById("camera-template").content.cloneNode(true));
    this.element = main.firstElementChild;
    this.#slots = Object.fromEntries([...this.element.querySelectorAll("[data-slot]")].map((e) => [e.dataset.slot, e]));
    this.#canvas = this.element.querySelector("canvas");
    const picture = this.element.querySelector(".picture");
    this.#divider = new Divider(picture, this.element.querySelector(".divider"), () => this.#draw());
    this.#haze = new Haze(this.#slots.haze, name);
    this.#clips = new Clips(this.#slots.clips, name, tell);
    this.#slots.name.textContent = name;
    this.#connectControls(picture);
    this.show(!document.hidden);
  }

  #connectControls(picture) {
    const { enabled, strength, profile, percent, saving, fullscreen } = this.#slots;
    const send = (change) => this.#changes.send(change).then(() => this.#tell(""), (error) => this.#tell(error.message));
    enabled.addEventListener("change", () => send({ enabled: enabled.checked }));
    strength.addEventListener("input", () => {
      percent.textContent = `${strength.value} %`;
      send({ strength: strength.value / 100 });
    });
    profile.addEventListener("change", () => send({ profile: profile.value }));
    saving.addEventListener("change", () => this.show(!document.hidden));
    fullscreen.hidden = !document.fullscreenEnabled;
    fullscreen.addEventListener("click", () => picture.parentElement.requestFullscreen());
  }

  update(cameras) {
    const camera = cameras.find((each) => each.name === this.#name);
    if (!camera) {
      location.hash = "";
      return;
    }
    this.element.dataset.state = camera.state;
    this.#slots.state.textContent = stateName(camera);
    showRemarks(this.#slots.remarks, camera);
    showVeil(this.#slots.veil, camera, figures(camera));
    if (!this.#changes.pending && !this.#slots.strength.matches(":active")) {
      this.#slots.enabled.checked = camera.enabled;
      this.#slots.strength.value = Math.round(camera.strength * 100);
      this.#slots.percent.textContent = percent(camera.strength);
    }
    this.#showProfiles(camera);
    this.#linkSnapshots(camera.state === "running" ? "" : "&stale=1"); // what is seen, under the name of its own time
    const mayChange = document.body.dataset.role !== "viewer";
    for (const input of [this.#slots.enabled, this.#slots.strength, this.#slots.profile]) input.disabled = !mayChange;
    this.#haze.update(camera);
    this.#clips.update(camera, mayChange);
    this.#slots.facts.replaceChildren(...facts(camera).flatMap(row));
  }

  #linkSnapshots(more) {
    const path = `/cameras/${encodeURIComponent(this.#name)}/snapshot`;
    this.#slots.snapshot.href = `${path}?side=clear${more}`;
    this.#slots["snapshot-both"].href = `${path}?side=both${more}`;
  }

  #showProfiles(camera) {
    const { profiles, profile } = this.#slots;
    profiles.hidden = !camera.profiles.length;
    if (profiles.hidden || profile === document.activeElement) return;
    const options = profileOptions(camera).map(([value, text]) => new Option(text, value, false, value === camera.profile_choice));
    profile.replaceChildren(...options);
  }

  show(visible) {
    this.#stream?.abort();
    if (!visible || this.#left) return;
    this.#stream = new AbortController();
    const wanted = Math.min(Math.ceil(this.#canvas.clientWidth * devicePixelRatio) || 960, MAXIMUM_WIDTH);
    this.#watch(wanted, this.#stream.signal);
  }

  // JPEGs are the freshest. Video needs a fraction of their bits; where it is wanted it takes over when it has its first
  // picture, and JPEGs again when it ends.
  async #watch(width, signal) {
    let jpegs = this.#watchJpegs(width, signal);
    if (!(await this.#savesBandwidth())) return;
    const url = `/cameras/${encodeURIComponent(this.#name)}/video?width=${width}`;
    const show = (video) => {
      jpegs.abort();
      this.#keep(video, video.videoWidth, video.videoHeight);
    };
    while ((await watchVideo(url, signal, show)) && !signal.aborted) jpegs = this.#watchJpegs(width, signal);
  }

  async #savesBandwidth() {
    const saving = this.#slots.saving;
    saving.hidden = !canWatchVideo() || !(await this.#offersVideo);
    return !saving.hidden && saving.querySelector("input").checked;
  }

  #watchJpegs(width, signal) {
    const own = new AbortController();
    signal.addEventListener("abort", () => own.abort());
    const url = `/cameras/${encodeURIComponent(this.#name)}/stream?side=both&width=${width}`;
    watch(url, own.signal, (bitmap) => this.#keep(bitmap, bitmap.width, bitmap.height), this.#tell);
    return own;
  }

  leave() {
    this.#left = true;
    this.#stream?.abort();
  }

  // The pictures stay, to be drawn again whenever the divider moves.
  #keep(picture, width, height) {
    this.#newest ??= document.createElement("canvas");
    this.element.classList.remove("blank");
    if (this.#newest.width !== width || this.#newest.height !== height) {
      this.#newest.width = width;
      this.#newest.height = height;
      this.#canvas.width = width / 2;
      this.#canvas.height = height;
      this.#canvas.parentElement.style.setProperty("--aspect", width / 2 / height);
    }
    this.#newest.getContext("2d").drawImage(picture, 0, 0);
    this.#draw();
  }

  #draw() {
    if (!this.#newest) return;
    const { width, height } = this.#canvas;
    const cut = Math.round(width * this.#divider.position);
    const context = this.#canvas.getContext("2d");
    if (cut > 0) context.drawImage(this.#newest, 0, 0, cut, height, 0, 0, cut, height);
    if (cut < width) {
      context.drawImage(this.#newest, width + cut, 0, width - cut, height, cut, 0, width - cut, height);
    }
  }
}

function row([term, text, details = [], trouble = false]) {
  const name = document.createElement("dt");
  const value = document.createElement("dd");
  name.textContent = term;
  value.textContent = text;
  for (const detail of details) {
    const line = document.createElement("small");
    line.textContent = detail;
    line.classList.toggle("trouble", trouble);
    value.append(line);
  }
  return [name, value];
}
