/** What this agent shows the server, put together. Callers: ../composition.ts. */
import { ApiError } from '../../api/errors.ts';
import { explainFileError } from '../../base/file-error.ts';
import { VERSION } from '../../base/version.ts';
import { createJoinClient } from '../../client/join-client.ts';
import type { FetchFunction } from '../../client/transport.ts';
import type { AgentConfig } from '../config.ts';
import { NodeCredential } from '../session/node-credential.ts';
import { loadNodeKey } from '../session/node-key.ts';
import { buildRegistration } from '../session/registration.ts';
import type { StandingCell } from '../session/standing.ts';
import type { Machine } from './machine.ts';
import { timed, type Parts } from './ports.ts';

/** @param fetch the network, without credentials */
export function createCredential(
  parts: Parts,
  { host, standing }: { readonly host: Pick<Machine, 'info'>; readonly standing: StandingCell },
  fetch: FetchFunction,
): NodeCredential {
  const { config, identity, disk, stopper, clock } = parts;
  const credential = new NodeCredential({
    ...timed(parts, 'node-credential'),
    client: createJoinClient({ serverUrl: config.SERVER_URL, userAgent: `cara-agent/${VERSION}`, clock, fetch }),
    nodeName: config.NODE_NAME,
    loadKey: () => loadNodeKey(config.DATA_DIR, disk),
    readJoinToken: () => readJoinToken(parts),
    registration: () => buildRegistration({ host: host.info, identity, standing }),
    signal: stopper.signal,
  });
  stopper.spawn('node-credential', (signal) => credential.run(signal));
  return credential;
}

/** @throws {ApiError} Unavailable when the file cannot be read now */
async function readJoinToken({
  config,
  disk,
}: {
  readonly config: AgentConfig;
  readonly disk: Parts['disk'];
}): Promise<string | undefined> {
  const { JOIN_TOKEN: token, JOIN_TOKEN_FILE: path } = config;
  if (token !== undefined || path === undefined) {
    return token;
  }
  const refuse = (why: string, cause?: unknown): ApiError =>
    new ApiError('Unavailable', `Cannot join with the token in JOIN_TOKEN_FILE as ${why}: current value is ${JSON.stringify(path)}`, {
      cause,
    });
  let text: string | undefined;
  try {
    text = await disk.readText(path);
  } catch (error) {
    throw refuse(explainFileError(error), error);
  }
  if (text === undefined) {
    throw refuse('there is no such file');
  }
  return text.trim();
}
