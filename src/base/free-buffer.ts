/** Gives the memory of buffers back at once. Callers: base/join.ts, base/web-socket.ts, client/http-fetch.ts. */

const soleViews = new WeakSet<Uint8Array>();

/** Says of a view that nobody uses what else its buffer holds. @returns it */
export function markSole<View extends Uint8Array>(view: View): View {
  soleViews.add(view);
  return view;
}

/**
 * Gives a buffer's memory back, which leaves it empty; no-op where others share the buffer. Each chunk of a connection comes in a buffer of
 * its own. Left to the garbage collector, those of 1 GiB cost the server 27 full collections, half its CPU time (`npm run bench -- port-forward`),
 * and those of 8 MiB cost `caractrl` 13 MB of resident memory for good (Node 26.10).
 */
export function freeBuffer(view: Uint8Array): void {
  const { buffer, byteLength } = view;
  if (buffer instanceof ArrayBuffer && (buffer.byteLength === byteLength || soleViews.has(view))) {
    buffer.transfer(0); // moved into nothing
  }
}
