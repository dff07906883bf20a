// What stands on and next to a camera's picture.
import { reason, remarks } from "./words.js";

// Why the picture is not live, with what else there is to say of that; nothing while it is.
export function showVeil(element, camera, ...more) {
  const why = reason(camera);
  element.replaceChildren(...(why ? [make("span", why), ...more.map((text) => make("small", text))] : []));
}

export function showRemarks(element, camera) {
  element.replaceChildren(...remarks(camera).map(([kind, text]) => make("span", text, `chip ${kind}`)));
}

function make(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}
