// Pictures as they come: a multipart stream is read part by part, so that every picture is whole, carries its camera's
// name, and the next one is read only when this one is shown. What cannot be shown in time the server leaves out.

const RETRY_MILLISECONDS = 1000;

// Calls show(bitmap, camera) for every picture until the signal aborts; tell(problem) gets a sentence or "".
export async function watch(url, signal, show, tell) {
  while (!signal.aborted) {
    try {
      const answer = await fetch(url, { signal });
      if (answer.status === 401) return location.replace("/login");
      if (!answer.ok) throw new Error((await answer.json()).error);
      tell("");
      await read(answer.body.getReader(), signal, show);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof TypeError)) tell(error.message); // a TypeError is the network's; the poll of the page says so
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
  }
}

async function read(reader, signal, show) {
  let bytes = new Uint8Array(0);
  while (!signal.aborted) {
    const { done, value } = await reader.read();
    if (done) return;
    bytes = joined(bytes, value);
    for (let part = firstPart(bytes); part; part = firstPart(bytes)) {
      bytes = bytes.subarray(part.end);
      const bitmap = await createImageBitmap(new Blob([part.jpeg], { type: "image/jpeg" }));
      if (!signal.aborted) show(bitmap, part.camera);
      bitmap.close();
    }
  }
}

// The first whole part, or null. The text before a head is the boundary of the part before.
function firstPart(bytes) {
  const start = endOfHead(bytes);
  if (start < 0) return null;
  const head = new TextDecoder().decode(bytes.subarray(0, start));
  const end = start + Number(/content-length: *(\d+)/i.exec(head)[1]);
  if (bytes.length < end) return null;
  return { jpeg: bytes.slice(start, end), end, camera: decodeURIComponent(/x-camera: *(\S+)/i.exec(head)[1]) };
}

function endOfHead(bytes) {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
