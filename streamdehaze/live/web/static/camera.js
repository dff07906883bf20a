// One camera: before and after with a divider, controls, facts.
import { Changes } from "./api.js";
import { Divider } from "./divider.js";
import { watch } from "./stream.js";
import { facts, stateName, veil } from "./words.js";

const MAXIMUM_WIDTH = 1280;

export class CameraView {
  #name;
  #tell;
  #changes;
  #canvas;
  #slots;
  #divider;
  #newest = null; // hazy and clear of one frame, beside one another
  #stream = null;
  #left = false;

  constructor(main, name, tell) {
    this.#name = name;
    this.#tell = tell;
    this.#changes = new Changes(name);
    main.replaceChildren(document.getElementById("camera-template").content.cloneNode(true));
    this.element = main.firstElementChild;
    this.#slots = Object.fromEntries([...this.element.querySelectorAll("[data-slot]")].map((e) => [e.dataset.slot, e]));
    this.#canvas = this.element.querySelector("canvas");
    const picture = this.element.querySelector(".picture");
    this.#divider = new Divider(picture, this.element.querySelector(".divider"), () => this.#draw());
    this.#slots.name.textContent = name;
    this.#connectControls(picture);
    this.show(!document.hidden);
  }

  #connectControls(picture) {
    const { enabled, strength, percent, snapshot, fullscreen } = this.#slots;
    const send = (change) => this.#changes.send(change).then(() => this.#tell(""), (error) => this.#tell(error.message));
    enabled.addEventListener("change", () => send({ enabled: enabled.checked }));
    strength.addEventListener("input", () => {
      percent.textContent = `${strength.value} %`;
      send({ strength: strength.value / 100 });
    });
    const path = `/cameras/${encodeURIComponent(this.#name)}/snapshot`;
    snapshot.href = `${path}?side=clear`;
    this.#slots["snapshot-both"].href = `${path}?side=both`;
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
    this.#slots.veil.textContent = veil(camera);
    if (!this.#changes.pending && !this.#slots.strength.matches(":active")) {
      this.#slots.enabled.checked = camera.enabled;
      this.#slots.strength.value = Math.round(camera.strength * 100);
      this.#slots.percent.textContent = `${Math.round(camera.strength * 100)} %`;
    }
    this.#slots.facts.replaceChildren(...facts(camera).flatMap(row));
  }

  show(visible) {
    this.#stream?.abort();
    if (!visible || this.#left) return;
    this.#stream = new AbortController();
    const wanted = Math.min(Math.ceil(this.#canvas.clientWidth * devicePixelRatio) || 960, MAXIMUM_WIDTH);
    const url = `/cameras/${encodeURIComponent(this.#name)}/stream?side=both&width=${wanted}`;
    watch(url, this.#stream.signal, (bitmap) => this.#keep(bitmap), this.#tell);
  }

  leave() {
    this.#left = true;
    this.#stream?.abort();
  }

  // The pictures stay, to be drawn again whenever the divider moves.
  #keep(bitmap) {
    this.#newest ??= document.createElement("canvas");
    this.element.classList.remove("blank");
    if (this.#newest.width !== bitmap.width || this.#newest.height !== bitmap.height) {
      this.#newest.width = bitmap.width;
      this.#newest.height = bitmap.height;
      this.#canvas.width = bitmap.width / 2;
      this.#canvas.height = bitmap.height;
      this.#canvas.parentElement.style.setProperty("--aspect", bitmap.width / 2 / bitmap.height);
    }
    this.#newest.getContext("2d").drawImage(bitmap, 0, 0);
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

function row([term, text, details = []]) {
  const name = document.createElement("dt");
  const value = document.createElement("dd");
  name.textContent = term;
  value.textContent = text;
  for (const detail of details) {
    const line = document.createElement("small");
    line.textContent = detail;
    value.append(line);
  }
  return [name, value];
}
