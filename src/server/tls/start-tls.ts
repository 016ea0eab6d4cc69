/** TLS, as the settings want it. Callers: main.ts, before it listens. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Stopper } from '../../base/stopper.ts';
import type { Store } from '../../store/store.ts';
import type { Sealer } from '../secrets/sealer.ts';
import { tlsFolder } from './authority-file.ts';
import { readGiven } from './given-certificate.ts';
import { issueInThread } from './issuer.ts';
import { tlsModeOf, type TlsSettings } from './mode.ts';
import { listNames, readMachineNames, type NameSettings } from './names.ts';
import { prepareOwn } from './own-certificates.ts';
import { loadShared, toStartError } from './shared-authority.ts';
import { TlsKeeper } from './tls-keeper.ts';

export interface StartTlsDeps {
  readonly config: TlsSettings & NameSettings & { readonly DATA_DIR: string };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly stopper: Stopper;
  /** given: other servers are on the store, and have the same authority */
  readonly shared?: { readonly store: Store; readonly sealer: Sealer };
}

/** @returns undefined where the server speaks plain HTTP @throws {StartError} */
export async function startTls(deps: StartTlsDeps): Promise<TlsKeeper | undefined> {
  const { config, clock, random, stopper, shared } = deps;
  const mode = tlsModeOf(config);
  if (mode === undefined) {
    return undefined;
  }
  const folder = tlsFolder(config.DATA_DIR);
  const own = {
    folder,
    issue: issueInThread,
    random,
    ...(shared && { loadAuthority: (make: Parameters<typeof loadShared>[1]) => loadShared({ ...shared, folder, random, clock }, make) }),
  };
  const prepare =
    mode === 'given'
      ? () => readGiven(config, clock.wallMs())
      : () => prepareOwn({ names: listNames(config, readMachineNames()), nowMs: clock.wallMs() }, own);
  try {
    const keeper = new TlsKeeper({ ...deps, prepare }, await prepare());
    stopper.spawn('tls', (signal) => keeper.run(signal));
    return keeper;
  } catch (error) {
    throw toStartError(error);
  }
}
