/** Puts the parts of auth/ together. Callers: composition.ts. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Stopper } from '../../base/stopper.ts';
import { createMirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { createGuard, type Guard } from '../http/guard.ts';
import { Credentials } from './credentials.ts';
import { LoginLimit } from './login-limit.ts';
import { RequestLimit } from './request-limit.ts';
import type { AuthSettings } from './mode.ts';
import { NODE_CREDENTIAL_KIND, TOKEN_KIND, type NodeCredential, type StoredToken } from './stored-credentials.ts';
import { createTokenService, type TokenService } from './token-service.ts';

export interface StartAuthDeps {
  readonly settings: AuthSettings;
  readonly store: Store;
  readonly stopper: Stopper;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface StartedAuth {
  readonly guard: Guard;
  /** who has shown what */
  readonly bearers: Credentials;
  readonly loginLimit: LoginLimit;
  readonly tokens: TokenService;
}

/** When this resolves, every credential that is stored is known. */
export async function startAuth(deps: StartAuthDeps): Promise<StartedAuth> {
  const { settings, stopper } = deps;
  const tokens = createMirror<StoredToken>({ ...deps, kind: TOKEN_KIND });
  const nodeCredentials = createMirror<NodeCredential>({ ...deps, kind: NODE_CREDENTIAL_KIND });
  const credentials = new Credentials({ ...deps, tokens, nodeCredentials }); // before they run: it must see their first lists
  stopper.spawn('token-mirror', (signal) => tokens.run(signal));
  stopper.spawn('node-credential-mirror', (signal) => nodeCredentials.run(signal));
  await Promise.all([tokens.ready(), nodeCredentials.ready()]);
  const loginLimit = new LoginLimit(deps.clock);
  const guard = createGuard({ settings, credentials, loginLimit, requestLimit: new RequestLimit(deps.clock) });
  return { guard, loginLimit, bearers: credentials, tokens: createTokenService(deps) };
}
