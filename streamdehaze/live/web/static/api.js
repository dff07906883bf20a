// What the page asks of the server, besides pictures.

const PATIENCE_MILLISECONDS = 5000;

async function ask(path, options) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MILLISECONDS), ...options });
  if (answer.status === 401) {
    location.replace("/login");
    return new Promise(() => {}); // the page is being left
  }
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

export const readCameras = () => ask("/api/cameras");

// The mean haze of each minute of the last day: {interval_seconds, points: [[seconds since 1970, 0 to 1], …]}.
export const readHaze = (name) => ask(`/api/cameras/${encodeURIComponent(name)}/haze`);

// The clips asked for since the program began, and the files on its disk: {clips: [{file, state, message}, …],
// files: [{name, bytes, ended, path}, …]}, the newest file first.
export const readClips = (name) => ask(`/api/cameras/${encodeURIComponent(name)}/clips`);

export const recordClip = (name) =>
  ask(`/api/cameras/${encodeURIComponent(name)}/clips`, { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });

// Sends the newest of several changes made in quick succession, one request at a time.
export class Changes {
  #path;
  #next = null;
  #busy = false;

  constructor(name) {
    this.#path = `/api/cameras/${encodeURIComponent(name)}`;
  }

  get pending() {
    return this.#busy;
  }

  async send(change) {
    this.#next = { ...this.#next, ...change };
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#next) {
        const body = JSON.stringify(this.#next);
        this.#next = null;
        await ask(this.#path, { method: "PATCH", body, headers: { "Content-Type": "application/json" } });
      }
    } finally {
      this.#busy = false;
    }
  }
}
