/** Bytes to messages and back with as little copying as can be. Pure, but for moving bytes within the caller's own buffers. */

const MAX_FRAME_BYTES = 64 * 1024; // so that a ping never waits behind more than this

/** Puts what is to be written into messages of 64 KiB at most, without copying. */
export function toMessages(chunks: readonly Buffer[]): readonly (readonly Uint8Array[])[] {
  const messages: Uint8Array[][] = [];
  let room = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      if (room === 0) {
        messages.push([]);
        room = MAX_FRAME_BYTES;
      }
      const piece = chunk.subarray(at, at + room);
      messages.at(-1)?.push(piece);
      at += piece.length;
      room -= piece.length;
    }
  }
  return messages;
}

/** Makes one of two views of the same buffer by closing the gap between them: moving a few bytes costs less than another write. */
export function closeUp(left: Buffer | undefined, right: Uint8Array): Buffer {
  const start = left === undefined ? right.byteOffset : left.length < right.length ? right.byteOffset - left.length : left.byteOffset;
  const both = Buffer.from(right.buffer, start, (left?.length ?? 0) + right.length);
  if (left !== undefined && start === left.byteOffset) {
    both.set(right, left.length);
  } else if (left !== undefined) {
    both.set(left);
  }
  return both;
}
