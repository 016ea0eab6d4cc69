/** A page as a terminal can show it. */

const BLOCKS = /<\/(p|h[1-6]|li|dd|div|title|tr)>|<br\s*\/?>/giu;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: ' ' };

/** The words of a small HTML page, a line a block; a term and its description (dt, dd) on one line. */
export function htmlToText(html: string): string {
  return html
    .replace(/<(style|script|svg|title)\b[\s\S]*?<\/\1>/giu, '')
    .replace(/\s+/gu, ' ')
    .replace(/<\/dt>/giu, ': ')
    .replace(BLOCKS, '\n')
    .replace(/<[^>]*>/gu, '')
    .replace(/&(#?\w+);/gu, (entity, name: string) => ENTITIES[name] ?? entity)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('\n');
}

/** Lines in a frame, so that the page stands out from what is around it. */
export function frame(text: string): string {
  const lines = text.split('\n');
  const width = Math.max(...lines.map((line) => line.length));
  const body = lines.map((line) => `│ ${line.padEnd(width)} │`);
  return [`┌${'─'.repeat(width + 2)}┐`, ...body, `└${'─'.repeat(width + 2)}┘`].join('\n');
}
