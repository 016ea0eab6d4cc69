/**
 * What a schema cannot say about the name of an image; pure. No engine takes what is refused here, and each says so only once it is placed.
 *
 * Callers  project-rules.ts
 * Source   the grammar of references of distribution/reference; a host is told from a path as Docker does.
 */
import type { FieldError } from '../errors.ts';
import { IMAGE_REFERENCE } from '../names.ts';
import type { Service } from '../project.ts';

const PART = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/u;
const HOST = /^[A-Za-z0-9.:-]+$/u;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/u;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z0-9]+)*:[0-9A-Fa-f]{32,}$/u;

/** @param base the pointer of the service */
export function checkImage({ image }: Pick<Service, 'image'>, base: string): readonly FieldError[] {
  const why = explain(image);
  return why === undefined ? [] : [{ pointer: `${base}/image`, detail: `${why}: current value is ${JSON.stringify(image)}` }];
}

function explain(image: string): string | undefined {
  const [, scheme] = /^([a-z]+:\/\/)/iu.exec(image) ?? [];
  if (scheme !== undefined) {
    return `must be without ${scheme}`;
  }
  const [name = '', digest, ...more] = image.split('@');
  const [, path = '', tag] = /^(.*?)(?::([^/:]*))?$/su.exec(name) ?? [];
  const parts = path.split('/');
  const own = parts.length > 1 && isHost(parts[0] ?? '') ? parts.slice(1) : parts;
  const isWhole = own.every((part) => PART.test(part.toLowerCase()));
  if (!isWhole || more.length > 0 || (tag !== undefined && !TAG.test(tag)) || (digest !== undefined && !DIGEST.test(digest))) {
    return `must be ${IMAGE_REFERENCE.expects}`;
  }
  const lower = own.join('/').toLowerCase();
  return own.join('/') === lower
    ? undefined
    : `must be in lower case but for its registry and tag, as in ${image.replace(own.join('/'), lower)}`;
}

function isHost(part: string): boolean {
  return part === 'localhost' || (/[.:]/u.test(part) && HOST.test(part));
}
