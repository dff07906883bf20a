// The haze of one camera: a gauge of what it is now, and a curve of the last day.
import { readHaze } from "./api.js";
import { hazeWords, percent } from "./words.js";

const READ_MILLISECONDS = 60000;
const SHORTEST_SECONDS = 3600; // of the curve, however little there is to show
const WIDTH = 300;
const HEIGHT = 48;

export class Haze {
  #name;
  #block;
  #readAt = -READ_MILLISECONDS;

  constructor(block, name) {
    this.#block = block;
    this.#name = name;
  }

  update({ haze, visibility }) {
    const sight = this.#slot("visibility");
    sight.hidden = !visibility;
    sight.textContent = visibility ? `Visibility ${visibility.text}` : "";
    this.#slot("now").textContent = hazeWords(haze);
    this.#slot("gauge").value = haze && !haze.dark ? haze.density : 0;
    if (performance.now() - this.#readAt < READ_MILLISECONDS) return;
    this.#readAt = performance.now();
    readHaze(this.#name).then((history) => this.#draw(history), () => {}); // the next minute brings another
  }

  #slot(name) {
    return this.#block.querySelector(`[data-slot=haze-${name}]`);
  }

  #draw({ interval_seconds: interval, points }) {
    const history = this.#slot("history");
    history.hidden = points.length < 2;
    if (history.hidden) return;
    const end = points.at(-1)[0];
    const begin = Math.min(points[0][0], end - SHORTEST_SECONDS);
    const x = (moment) => (WIDTH * (moment - begin)) / (end - begin);
    let before = null;
    const path = points.map(([moment, density]) => {
      const step = before !== null && moment - before <= 2 * interval ? "L" : "M"; // no line where nothing was measured
      before = moment;
      return `${step}${x(moment).toFixed(1)} ${(HEIGHT * (1 - density)).toFixed(1)}`;
    });
    history.querySelector("path").setAttribute("d", path.join(""));
    const densities = points.map(([, density]) => density);
    const hours = Math.round((end - begin) / 3600);
    this.#slot("range").textContent =
      `${percent(Math.min(...densities))} to ${percent(Math.max(...densities))} in the last ${hours === 1 ? "hour" : `${hours} hours`}`;
  }
}
