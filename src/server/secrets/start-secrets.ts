/** The parts that serve Secrets, put together and started. Callers: composition.ts; openSealer also main.ts and tls/tls-command.ts. */
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { createMirror, type Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Spawner } from '../cluster/seat.ts';
import { agreeOnKey, requireSharedKey } from './key-agreement.ts';
import { loadKeyring, type KeySettings } from './key-source.ts';
import { newKey, toKeyring } from './keyring.ts';
import { createSealer, type Sealer } from './sealer.ts';
import { createSecretController } from './secret-controller.ts';
import { createSecretService, type SecretService } from './secret-service.ts';
import { createSecretUsers, type SecretUsers } from './secret-users.ts';
import { SECRET_KIND, type StoredSecret } from './stored-secret.ts';

export interface SecretsDeps {
  readonly store: Store;
  /** not running yet */
  readonly projects: Mirror<ProjectObject>;
  readonly settings: KeySettings;
  /** nothing of the store outlasts the process: a key that does would be litter */
  readonly isVolatile: boolean;
  readonly stopper: Spawner;
  /** for what only a leader does; default: `stopper` */
  readonly lead?: Spawner;
  /** other servers are on the store, which must have the same keys */
  readonly isShared?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface SecretParts {
  readonly secrets: SecretService;
  readonly secretUsers: SecretUsers;
  /** for what else the server keeps and nobody may read in the database */
  readonly sealer: Sealer;
}

/** @throws {StartError} when the keys do not fit what is stored */
export async function startSecrets({
  settings,
  isVolatile,
  isShared = false,
  stopper,
  lead = stopper,
  ...base
}: SecretsDeps): Promise<SecretParts> {
  const hasKeys = settings.SECRETS_KEY !== undefined || settings.SECRETS_KEY_FILE !== undefined;
  const sealer = isVolatile && !hasKeys ? createSealer(toKeyring(newKey())) : await openSealer(settings, { ...base, isShared });
  const mirror = createMirror<StoredSecret>({ ...base, kind: SECRET_KIND });
  const secretUsers = createSecretUsers(base.projects);
  const controller = createSecretController({ ...base, secrets: mirror, users: secretUsers });
  stopper.spawn('secret-mirror', (signal) => mirror.run(signal));
  lead.spawn('secret-controller', (signal) => controller.run(signal));
  return { secrets: createSecretService({ ...base, sealer }), secretUsers, sealer };
}

/** By the keys that are there, or the first one, made now. @throws {StartError} when they do not fit what is stored */
export async function openSealer(
  settings: KeySettings,
  { isShared, ...base }: Pick<SecretsDeps, 'store' | 'clock' | 'random' | 'log'> & { readonly isShared: boolean },
): Promise<Sealer> {
  if (isShared) {
    await requireSharedKey(settings, base);
  }
  const keyring = await loadKeyring(settings, base);
  if (isShared) {
    await agreeOnKey(settings, keyring, base);
  }
  return createSealer(keyring);
}
