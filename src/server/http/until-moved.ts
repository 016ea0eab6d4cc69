/** How long a stream out of a service is worth keeping: until its Project has left the node, or is gone. Callers: routes/logs.ts. */
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Mirror } from '../../store/mirror.ts';

/** ms; what the containers there wrote last is still on its way. */
const GRACE_MS = 2000;

export interface UntilMovedDeps {
  readonly projectMirror: Pick<Mirror<ProjectObject>, 'onChange'>;
  readonly clock: Clock;
}

export interface Following {
  readonly signal: AbortSignal;
  /** whether it has aborted as the Project went elsewhere: no failure, but the end of what can be told here */
  hasMoved(): boolean;
  [Symbol.dispose](): void;
}

/** A signal that aborts when `signal` does, or soon after the Project has another node, or none; dispose of it when the stream has ended. */
export function untilMoved({ projectMirror, clock }: UntilMovedDeps, { metadata, status }: ProjectObject, signal: AbortSignal): Following {
  let hasMoved = false;
  const ended = new AbortController();
  const unsubscribe = projectMirror.onChange(({ type, object }) => {
    if (object.metadata.name !== metadata.name) {
      return;
    }
    const isGone = type === 'DELETED' || object.metadata.uid !== metadata.uid;
    if (isGone || object.status.nodeRef !== status.nodeRef) {
      unsubscribe();
      clock.sleep(GRACE_MS, ended.signal).then(
        () => {
          hasMoved = true;
          ended.abort();
        },
        () => undefined, // disposed of
      );
    }
  });
  const onAbort = (): void => ended.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  return {
    signal: ended.signal,
    hasMoved: () => hasMoved,
    [Symbol.dispose]: () => {
      unsubscribe();
      signal.removeEventListener('abort', onAbort);
      ended.abort();
    },
  };
}
