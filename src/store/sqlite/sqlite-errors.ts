/** SQLite's result codes, as sentences for people. */
import { ApiError, type Reason } from '../../api/errors.ts';

const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** Primary result code (https://www.sqlite.org/rescode.html) -> what it means and what mends it; completes "Cannot ... as". */
const CAUSES: Readonly<Record<number, string>> = {
  5: 'another process is using it, stop the other cara-server or give this one a DATA_DIR of its own',
  8: 'it may not be written, make the file and its folder writable for this user',
  10: 'the disk reports an error, check the disk and its file system',
  [CORRUPT]: 'it is damaged, bring a backup back with "cara-server restore FILE", or save what is left with "sqlite3 FILE .recover"',
  13: 'the disk is full, free some space on it',
  14: 'the file cannot be opened or made, check that the folder exists and this user may write to it',
  23: 'access to it is denied',
  [NOT_A_DATABASE]: 'it is no SQLite database, move it away or point DATABASE_URL at another file',
};

/**
 * Explains a failure of SQLite's; anything else is a bug and comes back as it is.
 * @param action such as `open database /var/lib/caravanserai/cara.db`
 * @param whenUnusable the reason for a file that no retry will mend; anything else is Unavailable
 */
export function explainSqlite(action: string, error: unknown, whenUnusable: Reason): unknown {
  if (!isSqliteError(error)) {
    return error;
  }
  const code = error.errcode & 0xff;
  const reason = code === CORRUPT || code === NOT_A_DATABASE ? whenUnusable : 'Unavailable';
  return new ApiError(reason, `Cannot ${action} as ${CAUSES[code] ?? 'SQLite refused it'}: ${error.message}`, { cause: error });
}

/** The refusal of a file of which a part is not as it must be. @param found what is wrong with it */
export function damagedDatabase(path: string, found: string): ApiError {
  return new ApiError(
    'Invalid',
    `Cannot open database ${path} as it is damaged, bring a backup back with "cara-server restore FILE", or save what is left with "sqlite3 FILE .recover": ${found}`,
  );
}

function isSqliteError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}
