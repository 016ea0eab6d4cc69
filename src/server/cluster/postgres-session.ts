/** The session of a server's membership on PostgreSQL: an advisory lock, and a row in `servers`. Callers: start-cluster.ts */
import { VERSION } from '../../base/version.ts';
import type { DatabaseTarget } from '../../store/postgres/database-url.ts';
import { openSession } from '../../store/postgres/session.ts';
import { PRESENCE_MS, SESSION_LIMIT_MS, type ClusterSession } from './cluster-session.ts';

/** Servers that have not been seen for so long are forgotten, by any other. */
const FORGOTTEN_AFTER = '10 minutes';

const LEADER_LOCK = 0x43415242; // "CARB": next to that of migrations
const TRY_LOCK = `SELECT pg_try_advisory_lock(${LEADER_LOCK})`;
const PREPARE = `SET idle_session_timeout = ${SESSION_LIMIT_MS}; SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2; SET tcp_user_timeout = ${SESSION_LIMIT_MS}`;
const SAY_HERE = `
INSERT INTO caravanserai.servers (id, name, url, version, started_at, seen_at) VALUES ($1, $2, $3, $4, now(), now())
ON CONFLICT (id) DO UPDATE SET seen_at = now()`;
const FORGET_OTHERS = `DELETE FROM caravanserai.servers WHERE seen_at < now() - interval '${FORGOTTEN_AFTER}' OR (url = $2 AND id <> $1)`;
const LIST_SERVERS = `
SELECT id, name, url, version, started_at, seen_at, seen_at > now() - make_interval(secs => ${(PRESENCE_MS * 3) / 1000}) FROM caravanserai.servers
ORDER BY name, url`;

/** @throws {ApiError} as openSession */
export async function openPostgresSession(target: DatabaseTarget): Promise<ClusterSession> {
  const session = await openSession(target, { name: 'cara-server membership' });
  await session.script(PREPARE);
  return {
    get isOpen() {
      return session.isOpen;
    },
    tryLock: async () => (await session.query(TRY_LOCK))[0]?.[0] === true,
    say: async () => void (await session.query('SELECT 1')),
    sayHere: async ({ id, name, url }) => {
      await session.query(SAY_HERE, [id, name, url, VERSION]);
      await session.query(FORGET_OTHERS, [id, url]);
    },
    sayGone: async ({ id }) => void (await session.query('DELETE FROM caravanserai.servers WHERE id = $1', [id])),
    listServers: async () =>
      (await session.query(LIST_SERVERS)).map(([id, name, url, version, startedAt, seenAt, isAlive]) => ({
        id: String(id),
        name: String(name),
        url: String(url),
        version: String(version),
        startedAt: startedAt as Date,
        seenAt: seenAt as Date,
        isAlive: isAlive === true,
      })),
    close: () => session.close(),
    destroy: () => session.destroy(),
  };
}
