/** For what must not be done under a server that runs. Callers: postgres-import.ts, server/secrets/rotate-command.ts. */
import { ApiError } from '../../api/errors.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { unavailable } from './postgres-errors.ts';
import { openSession, type Session } from './session.ts';

const FIND_SERVERS = `
SELECT count(*)::int FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'cara-server %'`;

/** @param action such as "rotate keys" @throws {ApiError} Unavailable while a server is connected to the session's database */
export async function requireNoServer(session: Session, action: string): Promise<void> {
  const [[servers] = []] = await session.query(FIND_SERVERS);
  if (Number(servers) > 0) {
    throw new ApiError('Unavailable', `Cannot ${action} as a cara-server uses it: stop every server on it first`);
  }
}

/** As above, for a database that is not open yet. */
export async function requireNoServerOn(url: string, action: string): Promise<void> {
  const target = parseDatabaseUrl(url);
  const session = await openSession(target, { name: 'look for servers' });
  try {
    await requireNoServer(session, `${action} on database ${target.label}`);
  } catch (error) {
    throw unavailable(`${action} on database ${target.label}`, error);
  } finally {
    await session.close();
  }
}
