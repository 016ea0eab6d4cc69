/** The engine's images: what Engine promises of them, over HTTP. */
import { decodeImage, decodeImageSummary, decodeList } from './docker-wire.ts';
import type { DockerTransport } from './docker-transport.ts';
import type { Engine } from './engine.ts';
import { encodeAuth, PullTracker, toPullReference } from './image-pull.ts';
import { splitLines } from './split-lines.ts';

const REMOVE_TIMEOUT_MS = 120_000; // gigabytes of small files on a slow disk

export function createImageCalls(transport: DockerTransport): Pick<Engine, 'inspectImage' | 'listImages' | 'removeImage' | 'pullImage'> {
  return {
    inspectImage: async (reference, signal) => {
      const path = `${pathOf(reference)}/json`;
      // 400: a name that no image can have; the pull says what is wrong with it
      const { status, body } = await transport.request(
        { method: 'GET', path, action: `inspect image "${reference}"`, accept: [400, 404] },
        signal,
      );
      return status === 200 ? decodeImage(body) : undefined;
    },

    listImages: async (signal) => {
      const { body } = await transport.request({ method: 'GET', path: '/images/json', action: 'list the images' }, signal);
      return decodeList(body, decodeImageSummary);
    },

    removeImage: async (reference, signal) => {
      const action = `remove image "${reference}"`;
      const timeoutMs = REMOVE_TIMEOUT_MS;
      await transport.request({ method: 'DELETE', path: pathOf(reference), action, accept: [404], timeoutMs }, signal);
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

/** The engine routes on the slashes of a name. */
function pathOf(reference: string): string {
  return `/images/${reference.split('/').map(encodeURIComponent).join('/')}`;
}
