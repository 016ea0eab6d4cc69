/**
 * Pressure: whether disk or memory run low, with hysteresis so that a node at the brink does not flap. Pure.
 *
 * Messages hold whole per cents only: each change of one is a write on the server.
 * Source   The table of conditions in the API's contract; the gaps are Kubernetes' idea (eviction's minimum reclaim).
 */

/** A condition as an agent reports it; the server adds the times. */
export interface ReportedCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface DiskMeasure {
  /** a folder on the file system measured */
  readonly path: string;
  readonly totalBytes: number;
  /** for others than root */
  readonly freeBytes: number;
  /** 0 where the file system makes them as it goes (btrfs) */
  readonly inodes: number;
  readonly freeInodes: number;
}

interface Gap {
  /** fraction below which pressure begins */
  readonly setBelow: number;
  /** fraction above which it ends */
  readonly clearAbove: number;
}

const DISK: Gap = { setBelow: 0.1, clearAbove: 0.12 };
const DISK_CRITICAL: Gap = { setBelow: 0.02, clearAbove: 0.03 };
const INODES: Gap = { setBelow: 0.05, clearAbove: 0.07 };
const MEMORY: Gap = { setBelow: 0.05, clearAbove: 0.08 };

/** Tells whether `fraction` is low, given whether it was: in the gap it stays what it was. */
export function isLow(wasLow: boolean, fraction: number, gap: Gap): boolean {
  return wasLow ? fraction <= gap.clearAbove : fraction < gap.setBelow;
}

/** Which of the three disk troubles there are; kept from one sample to the next. */
export interface DiskPressure {
  readonly isCritical: boolean;
  readonly isSpaceLow: boolean;
  readonly areInodesLow: boolean;
}

export const NO_DISK_PRESSURE: DiskPressure = { isCritical: false, isSpaceLow: false, areInodesLow: false };

export function deriveDiskPressure(previous: DiskPressure, disk: DiskMeasure): DiskPressure {
  const free = fractionOf(disk.freeBytes, disk.totalBytes);
  return {
    isCritical: isLow(previous.isCritical, free, DISK_CRITICAL),
    isSpaceLow: isLow(previous.isSpaceLow, free, DISK),
    areInodesLow: isLow(previous.areInodesLow, fractionOf(disk.freeInodes, disk.inodes), INODES),
  };
}

export function toDiskCondition(pressure: DiskPressure, disk: DiskMeasure): ReportedCondition {
  const type = 'DiskPressure';
  const free = `${percentOf(disk.freeBytes, disk.totalBytes)} % of the disk of ${disk.path} is free`;
  if (pressure.isCritical) {
    return { type, status: 'True', reason: 'DiskCritical', message: `${free}: free some now, containers fail when it is full` };
  }
  if (pressure.isSpaceLow) {
    return { type, status: 'True', reason: 'DiskLow', message: `${free}: free some; above 12 % this clears` };
  }
  if (pressure.areInodesLow) {
    const inodes = `${percentOf(disk.freeInodes, disk.inodes)} % of the inodes of ${disk.path} are free`;
    return { type, status: 'True', reason: 'InodesLow', message: `${inodes}: remove small files; above 7 % this clears` };
  }
  return { type, status: 'False', reason: 'EnoughDisk', message: `The disk of ${disk.path} has space` };
}

export function deriveMemoryPressure(wasLow: boolean, availableBytes: number, totalBytes: number): boolean {
  return isLow(wasLow, fractionOf(availableBytes, totalBytes), MEMORY);
}

export function toMemoryCondition(isMemoryLow: boolean, availableBytes: number, totalBytes: number): ReportedCondition {
  const type = 'MemoryPressure';
  return isMemoryLow
    ? {
        type,
        status: 'True',
        reason: 'MemoryLow',
        message: `${percentOf(availableBytes, totalBytes)} % of the memory is available: stop or limit something; above 8 % this clears`,
      }
    : { type, status: 'False', reason: 'EnoughMemory', message: 'Memory is available' };
}

/** Nothing of nothing is plenty: what a system does not count cannot run out. */
function fractionOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 1;
}

function percentOf(part: number, whole: number): number {
  return Math.floor(100 * fractionOf(part, whole));
}
