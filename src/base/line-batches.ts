/** Takes a byte stream apart into lines, in batches as they come together: a long log has millions. */

/**
 * Gives the lines that each chunk completes, without their ends; what stands behind the last end is dropped.
 * @throws {RangeError} when one line is longer than `maxBytes`
 */
export async function* readLineBatches(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxBytes) {
      throw new RangeError(`A line is longer than ${maxBytes} bytes`);
    }
    if (lines.length > 0) {
      yield lines;
    }
  }
}
