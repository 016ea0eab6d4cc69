/** The engine's images: what Engine promises of them, over HTTP. */
import { decodeImage } from './docker-wire.ts';
import type { DockerTransport } from './docker-transport.ts';
import type { Engine } from './engine.ts';
import { encodeAuth, PullTracker, toPullReference } from './image-pull.ts';
import { splitLines } from './json-lines.ts';

export function createImageCalls(transport: DockerTransport): Pick<Engine, 'inspectImage' | 'pullImage'> {
  return {
    inspectImage: async (reference, signal) => {
      const path = `/images/${reference.split('/').map(encodeURIComponent).join('/')}/json`; // the engine routes on the slashes
      const { status, body } = await transport.request(
        { method: 'GET', path, action: `inspect image "${reference}"`, accept: [404] },
        signal,
      );
      return status === 404 ? undefined : decodeImage(body);
    },

    pullImage: async (reference, { auth, onProgress }, signal) => {
      const { fromImage, tag } = toPullReference(reference);
      const meaning = {
        action: `pull image "${reference}"`,
        byStatus: { 401: 'PullDenied', 403: 'PullDenied', 404: 'ImageNotFound' },
        byWords: ['NoSpace', 'TooManyRequests', 'PullDenied', 'ImageNotFound'],
        otherwise: 'PullFailed',
      } as const;
      const tracker = new PullTracker(meaning);
      const headers = auth === undefined ? {} : { 'x-registry-auth': encodeAuth(auth) };
      const chunks = await transport.stream(
        // the first byte comes when the registry has answered, for which it may take its time
        { method: 'POST', path: '/images/create', query: { fromImage, tag }, headers, timeoutMs: Infinity, ...meaning },
        signal,
      );
      for await (const line of splitLines(chunks)) {
        const progress = tracker.take(line);
        onProgress?.(progress);
      }
    },
  };
}
