/**
 * Exec ledger: the commands that agents of this data folder have begun and not seen to their end, so that the next one ends what one that
 * was killed has left running. By the engine's ids: a user's own `docker exec` is never among them.
 *
 * Owns     DATA_DIR/commands.json. What cannot be read or written there costs the clean-up, never a command.
 * Callers  http/exec.ts and http/service-routes.ts
 */
import type { Disk } from '../../base/disk.ts';
import type { LeftRunning } from './exec-session.ts';

const MAX_KEPT = 256; // as many as can run at once
const LEAST_BYTES = 4096;

export class ExecLedger {
  readonly #path: string;
  readonly #disk: Pick<Disk, 'readTextNow' | 'overwriteNow'>;
  readonly #running = new Map<string, LeftRunning>();

  constructor(path: string, disk: Pick<Disk, 'readTextNow' | 'overwriteNow'>) {
    this.#path = path;
    this.#disk = disk;
  }

  /** What former agents have left, as far as is known; to be asked before anything is noted. Each stays noted until it is `over`. */
  recall(): readonly LeftRunning[] {
    for (const left of this.#read()) {
      this.#running.set(left.execId, left);
    }
    return [...this.#running.values()];
  }

  /** To be told before the command is started. */
  begun({ execId, containerId, hasTty }: LeftRunning): void {
    this.#running.set(execId, { execId, containerId, hasTty });
    this.#write();
  }

  /** The command has ended, or was left running on purpose. */
  over(execId: string): void {
    if (this.#running.delete(execId)) {
      this.#write();
    }
  }

  #read(): readonly LeftRunning[] {
    try {
      const content = JSON.parse(this.#disk.readTextNow(this.#path) ?? '{}') as { readonly format?: unknown; readonly running?: unknown };
      return content.format === 1 && Array.isArray(content.running) ? content.running.filter(isLeftRunning) : [];
    } catch {
      return []; // it cannot be read, or is not whole
    }
  }

  #write(): void {
    const running = [...this.#running.values()].slice(-MAX_KEPT);
    try {
      this.#disk.overwriteNow(this.#path, `${JSON.stringify({ format: 1, running })}\n`, LEAST_BYTES);
    } catch {
      // as on a full disk: whoever asked for a command gets it all the same
    }
  }
}

function isLeftRunning(value: unknown): value is LeftRunning {
  const { execId, containerId, hasTty } = (value ?? {}) as Readonly<Partial<Record<keyof LeftRunning, unknown>>>;
  // a container's id is looked for in cgroup paths: a short text would be found in another's
  return typeof execId === 'string' && typeof containerId === 'string' && containerId.length === 64 && typeof hasTty === 'boolean';
}
