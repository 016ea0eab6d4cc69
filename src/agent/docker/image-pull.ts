/**
 * What is particular about pulling an image: the reference's parts, the progress of its layers, and failures that come
 * inside a stream of status 200.
 */
import type { PullProgress, RegistryAuth } from './docker-types.ts';
import type { EngineError } from './engine-error.ts';
import { toEngineFailure, type FailureMeaning } from './engine-failure.ts';

/** What the engine is asked for: without a tag it would pull every tag there is. */
export interface PullReference {
  readonly fromImage: string;
  /** A tag, or a digest `sha256:…`, which goes before a tag. */
  readonly tag: string;
}

/** Splits `registry:5000/team/app:1@sha256:…`; neither tag nor digest means `latest`. */
export function toPullReference(reference: string): PullReference {
  const [named = '', digest] = reference.split('@');
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1); // a colon before the last slash belongs to the registry's port
  const name = colon === -1 ? named : named.slice(0, colon);
  const tag = colon === -1 ? 'latest' : named.slice(colon + 1);
  return { fromImage: name, tag: digest ?? tag };
}

/** The value of `X-Registry-Auth`. */
export function encodeAuth({ username, password, serverAddress, identityToken }: RegistryAuth): string {
  const auth = { username, password, serveraddress: serverAddress, identitytoken: identityToken };
  return Buffer.from(JSON.stringify(auth)).toString('base64url');
}

interface Layer {
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly isDone: boolean;
}

/** One line of the engine's stream. */
interface PullLine {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Follows one pull. */
export class PullTracker {
  readonly #meaning: FailureMeaning;

  /** layer id -> how far it is */
  readonly #layers = new Map<string, Layer>();

  constructor(meaning: FailureMeaning) {
    this.#meaning = meaning;
  }

  /**
   * Takes the next line of the stream.
   * @throws {EngineError} when the line says that the pull has failed
   */
  take(line: string): PullProgress {
    const event = JSON.parse(line) as PullLine;
    const words = event.errorDetail?.message ?? event.error;
    if (words !== undefined) {
      throw this.#failure(words);
    }
    const status = event.status ?? '';
    if (event.id !== undefined && !status.startsWith('Pulling from')) {
      this.#layers.set(event.id, nextLayer(this.#layers.get(event.id), status, event.progressDetail ?? {}));
    }
    const layers = [...this.#layers.values()];
    return {
      status,
      layersDone: layers.filter((layer) => layer.isDone).length,
      layersTotal: layers.length,
      downloadedBytes: layers.reduce((sum, layer) => sum + layer.downloadedBytes, 0),
      totalBytes: layers.reduce((sum, layer) => sum + layer.totalBytes, 0),
    };
  }

  #failure(words: string): EngineError {
    return toEngineFailure(200, words, this.#meaning);
  }
}

function nextLayer(layer: Layer | undefined, status: string, { current = 0, total = 0 }: { current?: number; total?: number }): Layer {
  const before = layer ?? { downloadedBytes: 0, totalBytes: 0, isDone: false };
  switch (status) {
    case 'Downloading':
      return { ...before, downloadedBytes: current, totalBytes: Math.max(total, before.totalBytes) };
    case 'Download complete':
    case 'Extracting': // its figures are those of unpacking, and would run the bar a second time
      return { ...before, downloadedBytes: before.totalBytes };
    case 'Pull complete':
    case 'Already exists':
      return { ...before, downloadedBytes: before.totalBytes, isDone: true };
    default:
      return before;
  }
}
