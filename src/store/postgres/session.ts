/**
 * Session: one connection to PostgreSQL, with a limit on everything that it waits for.
 *
 * Owns     the pg client. A query that does not answer in time takes its session with it: whether it was done is not known, and its
 *          answer must never be taken for that of the next.
 * Never    connects anew (link.ts), retries, or shows the password.
 * Callers  link.ts, open-postgres.ts; server/cluster through `openSession`.
 */
import type { Client } from 'pg';
import { ApiError } from '../../api/errors.ts';
import type { DatabaseAddress, DatabaseTarget } from './database-url.ts';
import { explainPostgres, isReadOnly, isRefusal, RETRY_AFTER_MS } from './postgres-errors.ts';

/** ms; to connect to one address and be let in. */
const CONNECT_TIMEOUT_MS = 3_000;
/** ms; a statement of ours takes a few, on a slow disk some hundred. The database cancels it first, so that usually its end is known. */
const STATEMENT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 1_000;
/** ms; a server that is paused amid a transaction holds up the others for no longer. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 2_000;
/** ms; a connection without traffic asks whether the other end is still there after it. */
const KEEPALIVE_MS = 10_000;

/** What pg says, which has no code for it. */
const NO_TLS = 'The server does not support SSL connections';

const MIN_SERVER_VERSION = 150_000; // 15.0

export type Row = readonly unknown[];

export interface SessionOptions {
  /** shown in pg_stat_activity */
  readonly name: string;
  /** ms; default as above. 0: none, for what takes long by nature */
  readonly statementTimeoutMs?: number;
}

export interface Session {
  readonly isOpen: boolean;
  /** Settles when the connection has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** One statement with values: its rows as arrays; bigint comes as text. @throws what pg throws; explainPostgres has the words */
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** Several statements apart by semicolons, without values, in one round trip: the rows of each. */
  script(text: string): Promise<readonly (readonly Row[])[]>;
  /** Calls `listener` for each notification; LISTEN is the caller's. */
  onNotification(listener: (payload: string) => void): void;
  /** Ends it in order, and at the latest after a second by force. */
  close(): Promise<void>;
  /** Ends it at once. */
  destroy(): void;
}

/**
 * Connects to the first address that takes writes.
 * @throws {ApiError} Unavailable; Invalid for what only a person can mend
 */
export async function openSession(target: DatabaseTarget, options: SessionOptions): Promise<Session> {
  let failure: ApiError | undefined;
  for (const address of target.addresses) {
    try {
      return await openAt(target, address, options);
    } catch (error) {
      const explained = explainPostgres(`connect to database ${target.label}`, error);
      failure = failure?.reason === 'Unavailable' ? failure : explained; // another address may still come up
    }
  }
  throw failure ?? new Error('a target without address');
}

async function openAt(target: DatabaseTarget, address: DatabaseAddress, options: SessionOptions): Promise<Session> {
  const { tls } = target;
  if (tls === 'none') {
    return await connect(target, address, options);
  }
  try {
    return await connect(target, address, { ...options, tls: tls.options });
  } catch (error) {
    if (!(error instanceof Error && error.message === NO_TLS)) {
      throw error;
    }
    if (!tls.isRequired) {
      return await connect(target, address, options);
    }
    throw new ApiError(
      'Invalid',
      `Cannot connect to database ${target.label} as it has no TLS, which the sslmode in DATABASE_URL asks for: switch it on there, or take sslmode=prefer`,
      { cause: error },
    );
  }
}

async function connect(
  { user, password, database, label }: DatabaseTarget,
  { host, port }: DatabaseAddress,
  { name, statementTimeoutMs = STATEMENT_TIMEOUT_MS, tls }: SessionOptions & { readonly tls?: object },
): Promise<Session> {
  const { Client: PgClient } = await import('pg'); // 60 ms and 8 MB that nobody on SQLite need pay for
  const client = new PgClient({
    host,
    port,
    user,
    database,
    password: password ?? '', // not undefined: pg would look for ~/.pgpass
    ssl: tls ?? false,
    application_name: name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    client_encoding: 'UTF8',
    ...(statementTimeoutMs > 0 && {
      statement_timeout: statementTimeoutMs,
      lock_timeout: statementTimeoutMs,
      query_timeout: ANSWER_TIMEOUT_MS,
    }),
  });
  const session = new PgSession(client);
  try {
    await client.connect();
    await requireUsable(session, label);
    return session;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

async function requireUsable(session: Session, label: string): Promise<void> {
  const [row] = await session.query(
    "SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery()",
  );
  const [versionNumber, version, encoding, isStandby] = row ?? [];
  if (Number(versionNumber) < MIN_SERVER_VERSION) {
    throw new ApiError(
      'Invalid',
      `Cannot use database ${label} as its PostgreSQL is too old: needed is 15, current value is ${String(version)}`,
    );
  }
  if (encoding !== 'UTF8') {
    throw new ApiError(
      'Invalid',
      `Cannot use database ${label} as its encoding is not UTF8, make it with createdb --encoding=UTF8 --template=template0: current value is ${String(encoding)}`,
    );
  }
  if (isStandby === true) {
    throw new ApiError('Unavailable', `Cannot use database ${label} as it is a standby, which takes no writes`, {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }
}

class PgSession implements Session {
  readonly #client: Client;
  readonly ended: Promise<void>;
  #isOpen = true;

  constructor(client: Client) {
    this.#client = client;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    const onEnd = (): void => {
      this.#isOpen = false;
      resolve();
    };
    client.on('end', onEnd);
    client.on('error', onEnd); // of the connection, while no query waits; the queries under way are rejected by pg
    client.connection.stream.on('close', onEnd);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async query(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return await this.#guard(async () => (await this.#client.query({ text, values: [...values], rowMode: 'array' })).rows as Row[]);
  }

  async script(text: string): Promise<readonly (readonly Row[])[]> {
    return await this.#guard(async () => {
      const results = (await this.#client.query({ text, rowMode: 'array' })) as unknown as
        | { readonly rows: Row[] }
        | readonly { readonly rows: Row[] }[];
      return [results].flat().map(({ rows }) => rows);
    });
  }

  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''));
  }

  async close(): Promise<void> {
    const timer = AbortSignal.timeout(1000);
    timer.addEventListener('abort', () => this.destroy());
    await Promise.race([this.#client.end().catch(() => undefined), this.ended]);
    this.destroy();
  }

  destroy(): void {
    this.#isOpen = false;
    this.#client.connection.stream.destroy();
  }

  /** A failure other than the database's own refusal leaves the connection in a state that nobody knows. */
  async #guard<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!isRefusal(error) || isReadOnly(error)) {
        this.destroy();
      }
      throw error;
    }
  }
}
