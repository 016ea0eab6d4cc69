/** What a schema cannot say about the files of a service; pure. Callers: project-rules.ts. */
import type { FieldError } from '../errors.ts';
import type { Service, ServiceFile } from '../project.ts';
import { normalizePath } from './mount-path.ts';

/** The kernel and the engine put their own over what stands there. */
const TAKEN_FOLDERS = ['/dev', '/proc', '/sys'];
const TAKEN_FILES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

/** @param base the pointer of the service */
export function checkFiles(service: Service, base: string): readonly FieldError[] {
  const files = service.files ?? [];
  return files.flatMap((file, index) => {
    const pointer = `${base}/files/${index}`;
    const path = checkPath(file.mountPath) ?? checkNeighbours(service, index);
    const source = checkSource(file);
    return [
      ...(path === undefined ? [] : [{ pointer: `${pointer}/mountPath`, detail: path }]),
      ...(source === undefined ? [] : [{ pointer, detail: source }]),
    ];
  });
}

function checkSource({ content, secretKeyRef }: ServiceFile): string | undefined {
  if (content === undefined && secretKeyRef === undefined) {
    return 'must have content or secretKeyRef';
  }
  return content !== undefined && secretKeyRef !== undefined ? 'has both content and secretKeyRef: keep one' : undefined;
}

function checkPath(path: string): string | undefined {
  const parts = path.split('/').slice(1);
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    return 'must be the plain path of a file, such as /etc/app/config.yaml';
  }
  const taken = TAKEN_FOLDERS.find((folder) => isWithin(folder, path)) ?? TAKEN_FILES.find((file) => file === path);
  return taken === undefined ? undefined : `must not be ${taken === path ? taken : `below ${taken}`}, which the engine fills itself`;
}

/** A file in a volume would outlive its container, and one below another file cannot be. */
function checkNeighbours({ files = [], volumeMounts = [] }: Service, index: number): string | undefined {
  const path = files[index]?.mountPath ?? '';
  const volume = volumeMounts.find(({ mountPath }) => isWithin(normalizePath(mountPath), path) || isWithin(path, normalizePath(mountPath)));
  if (volume !== undefined) {
    return `must not be in a volume: ${volume.name} is mounted at ${volume.mountPath}`;
  }
  const same = files.findIndex(({ mountPath }) => mountPath === path);
  if (same < index) {
    return `names the file ${JSON.stringify(path)} a second time: the first is files/${same}`;
  }
  const parent = files.find(({ mountPath }) => mountPath !== path && isWithin(mountPath, path));
  return parent === undefined ? undefined : `must not be below ${parent.mountPath}, which is a file too`;
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
