/** Splits a stream of bytes into lines; the engine's event and progress streams are one JSON value a line. */

const MAX_LINE_CHARS = 4 * 1024 * 1024; // an event holds all labels of its object, which the engine does not bound

/** Yields each line without its end; blank lines are left out, a last line without an end is given. Bytes must be UTF-8. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) {
      throw new RangeError(`Cannot read the stream as a line has more than ${MAX_LINE_CHARS} characters`);
    }
    yield* lines.map((line) => line.trim()).filter((line) => line !== '');
  }
  const last = (rest + decoder.decode()).trim();
  if (last !== '') {
    yield last;
  }
}
