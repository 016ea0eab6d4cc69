/** A path in a container as it is compared with others: without doubled slashes, and without one at its end. Each `..` stays as it is. */
export function normalizePath(path: string): string {
  return path.replaceAll(/\/+/gu, '/').replace(/(.)\/$/u, '$1');
}
