/**
 * A lock between processes: a folder that holds the holder's pid. Plain JavaScript for Node 18.
 *
 * Source   rename(2) of a folder onto a folder that is not empty fails, so that taking and breaking the lock are one step each.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const WAIT_LIMIT_MS = 15 * 60_000;

/**
 * Waits for the lock. A holder that is dead loses it.
 * @param {string} folder the lock; its parent must exist
 * @param {(pid: number) => void} onWait called once when somebody else holds it
 * @returns {Promise<() => void>} release
 */
export async function acquireLock(folder, onWait) {
  const token = `${process.pid} ${startTimeOf(process.pid) ?? ''} ${randomBytes(6).toString('hex')}`;
  const prepared = `${folder}.${process.pid}`;
  mkdirSync(prepared, { recursive: true });
  writeFileSync(path.join(prepared, 'holder'), token);
  let isTold = false;
  const deadlineMs = performance.now() + WAIT_LIMIT_MS;
  while (!tryRename(prepared, folder)) {
    const holder = readHolder(folder);
    if (holder !== undefined && !isAlive(holder)) {
      breakLock(folder, holder);
      continue;
    }
    if (holder !== undefined && !isTold) {
      isTold = true;
      onWait(holder.pid);
    }
    if (performance.now() > deadlineMs) {
      rmSync(prepared, { recursive: true, force: true });
      throw new Error(`pid ${holder?.pid ?? 'unknown'} has held it for 15 minutes; if that is not a set-up, remove ${folder}`);
    }
    await delay(200);
  }
  return () => {
    // by renaming first: removing in place would have a moment when the folder is empty and somebody else's for the taking
    if (readHolder(folder)?.token === token && tryRename(folder, prepared)) {
      rmSync(prepared, { recursive: true, force: true });
    }
  };
}

/** Moves a dead holder's lock away. The new name is the dead holder's: who comes second finds it taken and cannot move a live one. */
function breakLock(folder, holder) {
  const grave = `${folder}.dead-${holder.token.replaceAll(' ', '-')}`;
  if (tryRename(folder, grave)) {
    process.once('exit', () => rmSync(grave, { recursive: true, force: true }));
  }
}

function tryRename(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EPERM'].includes(error.code)) {
      return false;
    }
    throw error;
  }
}

function readHolder(folder) {
  try {
    const token = readFileSync(path.join(folder, 'holder'), 'utf8');
    const [pid, startTime] = token.split(' ');
    return { token, pid: Number(pid), startTime };
  } catch {
    return undefined; // released meanwhile
  }
}

function isAlive({ pid, startTime }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  const now = startTimeOf(pid);
  return now === undefined || startTime === '' || now === startTime;
}

/** When the process started, in clock ticks since boot (field 22 of /proc/PID/stat): a reused pid has another. */
function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // not Linux, or gone
  }
}
