/** What is said to the second of two machines under one name, and on the node of the first. Pure. */
import { ApiError } from '../../api/errors.ts';
import { formatDuration } from '../../api/duration.ts';
import type { Party, Rivalry } from './node-identity.ts';

/**
 * The refusal of `rivalry.other`; the same words each time, so that an agent that asks again and again logs them once.
 * @param action such as "register"
 * @param options.timeoutMs after how long of the holder's silence the name is free
 */
export function refusalOf(
  action: string,
  name: string,
  { reason, holder, other }: Rivalry,
  options: { readonly timeoutMs: number; readonly retryAfterMs: number },
): ApiError {
  const { retryAfterMs } = options;
  const timeout = formatDuration(options.timeoutMs);
  const command = `caractrl node reset-identity ${name}`;
  if (reason === 'NameClaimed') {
    return new ApiError(
      'NameTaken',
      `Cannot ${action} node ${JSON.stringify(name)} as another machine holds the name: it is ${describe(holder)}, you are ${describe(other)}; ` +
        `if this machine is the former one reinstalled, let it in with: ${command} ` +
        `(or stop the other agent and wait ${timeout}); else set another NODE_NAME here`,
      { retryAfterMs },
    );
  }
  return new ApiError(
    'DuplicateIdentity',
    `Cannot ${action} node ${JSON.stringify(name)} as another live machine has the same identity, as after copying a disk: ` +
      `it is ${describe(holder)}, you are ${describe(other)}; ${MEND_COPY} here; if the other is the copy, give this one the name with: ${command}`,
    { retryAfterMs },
  );
}

const MEND_COPY = 'stop cara-agent, remove identity.json from its DATA_DIR and set another NODE_NAME';

/** The message of the condition DuplicateIdentity. */
export function messageOfRivalry(name: string, { reason, holder, other }: Rivalry): string {
  const command = `caractrl node reset-identity ${name}`;
  return reason === 'NameClaimed'
    ? `Another machine claims the name and is refused: ${describe(other)}; the name is held by ${describe(holder)}: ` +
        `set another NODE_NAME on one of them, or give the name to the other with: ${command}`
    : `Two live machines have one identity, as after copying a disk: ${describe(holder)} holds the name, ${describe(other)} is refused: ` +
        `${MEND_COPY} on the copy, or give the name to the other with: ${command}`;
}

function describe({ id, hostname, address }: Party): string {
  const who = hostname === undefined ? `identity ${id}` : `${hostname} (identity ${id})`;
  return address === undefined ? who : `${who} at ${address}`;
}
