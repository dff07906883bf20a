// A line across the picture that is moved by mouse, touch or keyboard.

const STEP = 0.02;
const LEAP = 0.1;

export class Divider {
  #picture;
  #handle;
  #moved;
  position = 0.5;

  // Calls moved() after each change of `position`, a fraction of the picture's width.
  constructor(picture, handle, moved) {
    this.#picture = picture;
    this.#handle = handle;
    this.#moved = moved;
    picture.addEventListener("pointerdown", (event) => this.#grab(event));
    picture.addEventListener("pointermove", (event) => {
      if (picture.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    handle.addEventListener("keydown", (event) => this.#key(event));
    this.#show();
  }

  #grab(event) {
    if (event.button !== 0) return;
    this.#picture.setPointerCapture(event.pointerId);
    this.#handle.focus({ preventScroll: true });
    event.preventDefault();
    this.#follow(event);
  }

  #follow(event) {
    const box = this.#picture.getBoundingClientRect();
    this.move((event.clientX - box.left) / box.width);
  }

  #key(event) {
    const step = event.shiftKey ? LEAP : STEP;
    const target = {
      ArrowLeft: this.position - step,
      ArrowDown: this.position - step,
      ArrowRight: this.position + step,
      ArrowUp: this.position + step,
      PageDown: this.position - LEAP,
      PageUp: this.position + LEAP,
      Home: 0,
      End: 1,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.move(target);
  }

  move(position) {
    this.position = Math.min(Math.max(position, 0), 1);
    this.#show();
    this.#moved();
  }

  #show() {
    const percent = Math.round(this.position * 100);
    this.#picture.style.setProperty("--divider", `${this.position * 100}%`);
    this.#handle.setAttribute("aria-valuenow", percent);
    this.#handle.setAttribute("aria-valuetext", `${percent} % hazy, ${100 - percent} % clear`);
  }
}
