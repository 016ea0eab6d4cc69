/** Which version of the Docker Engine API to speak: pure. */
import { EngineError } from './engine-error.ts';

/** The oldest that has all we use, in the shapes we read (Docker 20.10, Podman 3 and later). */
const NEEDED = '1.41';

/** What an engine says that it speaks. */
export interface OfferedVersions {
  readonly apiVersion: string;
  /** "" when it does not say */
  readonly minApiVersion: string;
  readonly engineVersion: string;
}

/**
 * Picks the oldest version that both sides know, so that as few differences as possible reach us.
 * @throws {EngineError} EngineTooOld
 */
export function chooseApiVersion(offered: OfferedVersions): string {
  if (compareApiVersions(offered.apiVersion, NEEDED) < 0) {
    throw new EngineError(
      'EngineTooOld',
      `Cannot use the container engine as it must speak API ${NEEDED} or newer (Docker 20.10): ` +
        `this is version ${offered.engineVersion || 'unknown'} with API ${offered.apiVersion || 'unknown'}`,
    );
  }
  return compareApiVersions(offered.minApiVersion, NEEDED) > 0 ? offered.minApiVersion : NEEDED;
}

/** Negative, 0 or positive, as `1.9` < `1.41`. What is no version counts as 0.0. */
function compareApiVersions(left: string, right: string): number {
  const [leftMajor, leftMinor] = parts(left);
  const [rightMajor, rightMinor] = parts(right);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}

function parts(version: string): readonly [number, number] {
  const match = /^(\d{1,6})\.(\d{1,6})/u.exec(version);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}
