/** What the file system refuses: in words for people, and whether it is only that something is not there. */

/** code -> why; completes "Cannot ... as". */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EEXIST: 'it is a file',
  EISDIR: 'it is a folder',
  ELOOP: 'it is a symbolic link to itself',
  ENAMETOOLONG: 'a part of the path is too long',
  ENOENT: 'there is no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is no folder',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only',
};

/** Says why without code, system call and path; what is no failure of the file system's speaks for itself. */
export function explainFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return WORDS[code] ?? (error instanceof Error ? error.message : String(error));
}

/** Whether the file system says that there is no such file or folder. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** For `catch`: what is not there is undefined. @throws any other error, as it is */
export function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) {
    throw error;
  }
}
