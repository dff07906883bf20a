// All cameras side by side.
import { showRemarks, showVeil } from "./overlay.js";
import { watch } from "./stream.js";
import { figures, stateName, trouble } from "./words.js";

const MAXIMUM_WIDTH = 640;

export class Wall {
  #tiles = new Map();
  #leaving = new AbortController();
  #stream = null;
  #tell;

  constructor(main, tell) {
    this.#tell = tell;
    main.replaceChildren(document.getElementById("wall-template").content.cloneNode(true));
    this.element = main.firstElementChild;
  }

  update(cameras) {
    const names = cameras.map((camera) => camera.name);
    if (names.join("\n") !== [...this.#tiles.keys()].join("\n")) this.#lay(names);
    for (const camera of cameras) this.#tiles.get(camera.name).update(camera);
  }

  #lay(names) {
    this.#tiles = new Map(names.map((name) => [name, this.#tiles.get(name) ?? new Tile(name)]));
    this.element.replaceChildren(...[...this.#tiles.values()].map((tile) => tile.element));
    if (!names.length) this.element.textContent = "There are no cameras yet.";
    this.show(true);
  }

  // Pictures are fetched only while someone can see them.
  show(visible) {
    this.#stream?.abort();
    if (!visible || !this.#tiles.size || this.#leaving.signal.aborted) return;
    this.#stream = new AbortController();
    const width = Math.min(MAXIMUM_WIDTH, Math.ceil(devicePixelRatio * this.element.firstElementChild.clientWidth));
    watch(`/wall?width=${width}`, this.#stream.signal, (bitmap, name) => this.#tiles.get(name)?.draw(bitmap), this.#tell);
  }

  leave() {
    this.#leaving.abort();
    this.#stream?.abort();
  }
}

class Tile {
  constructor(name) {
    this.element = document.getElementById("tile-template").content.firstElementChild.cloneNode(true);
    this.element.href = `#${encodeURIComponent(name)}`;
    this.canvas = this.element.querySelector("canvas");
    this.slots = Object.fromEntries([...this.element.querySelectorAll("[data-slot]")].map((e) => [e.dataset.slot, e]));
    this.slots.name.textContent = name;
  }

  update(camera) {
    this.element.dataset.state = camera.state;
    this.element.dataset.trouble = trouble(camera);
    this.slots.state.textContent = stateName(camera);
    this.slots.figures.textContent = figures(camera);
    showRemarks(this.slots.remarks, camera);
    showVeil(this.slots.veil, camera);
  }

  draw(bitmap) {
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
  }
}
