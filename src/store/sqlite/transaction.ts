/** All or nothing, on a SQLite database. */
import type { DatabaseSync } from 'node:sqlite';

/** Runs `work` in one transaction: all of it is durable when this returns, none of it when this throws. */
export function inTransaction<Result>(database: DatabaseSync, work: () => Result): Result {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) {
      database.exec('ROLLBACK'); // SQLite has done it itself after some errors, as when the disk is full
    }
    throw error;
  }
}
