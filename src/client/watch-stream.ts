/** Reads a watch: JSON lines off a byte stream, one event each. */
import { ApiError, fromProblem } from '../api/errors.ts';
import type { WatchEvent } from '../api/watch-event.ts';

/** The longest line we hold: far above the largest object (1 MiB), so that a broken peer cannot fill our memory. */
const MAX_LINE_CHARACTERS = 8 * 1024 * 1024;

/**
 * Gives each event as it comes; returns when the server ends the stream.
 * @throws {ApiError} Expired and the like when the server says so in the stream; Unavailable when a line is no event
 */
export async function* readWatchStream<Item>(stream: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent<Item>> {
  for await (const line of readLines(stream)) {
    const event = parseEvent(line) as WatchEvent<Item> | { readonly type: 'ERROR'; readonly object: { readonly status?: number } };
    if (event.type === 'ERROR') {
      throw fromProblem(event.object.status ?? 500, event.object);
    }
    yield event;
  }
}

async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() !== '') {
        yield line;
      }
    }
    if (rest.length > MAX_LINE_CHARACTERS) {
      throw new ApiError('Unavailable', `Cannot read watch as one line is over ${MAX_LINE_CHARACTERS} characters`);
    }
  }
}

function parseEvent(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new ApiError('Unavailable', `Cannot read watch as a line is not JSON: ${line.slice(0, 80)}`, { cause: error });
  }
}
