/** Text from a server or a file, made safe for a terminal. */

// Everything below space but line feed and tab, DEL, the C1 controls and the marks that turn writing round: enough to move the cursor,
// recolour the screen or make a line read as another one.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/gu;

/** Writes control characters as \xNN; keeps line feeds and tabs. */
export function toPrintable(text: string): string {
  return text.replaceAll(UNSAFE, (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`);
}

/** As `toPrintable`, on one line. */
export function toOneLine(text: string): string {
  return toPrintable(text)
    .replaceAll(/(?<!\s)\s*\n\s*/gu, ' ')
    .replaceAll('\t', ' ')
    .trimEnd();
}
