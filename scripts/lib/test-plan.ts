/** Which test files a command line of scripts/test.ts means. */

/** kind -> its files */
export const TEST_KINDS = {
  unit: ['src/**/*.test.ts', 'scripts/**/*.test.{ts,mjs}', 'test/support/**/*.test.ts'],
  contract: ['test/contract/**/*.test.ts'],
  integration: ['test/integration/**/*.test.ts'],
  sim: ['test/sim/**/*.test.ts'],
  seed: ['test/seed/**/*.test.ts'],
  e2e: ['test/e2e/**/*.test.ts'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type TestKind = keyof typeof TEST_KINDS;

export interface TestArguments {
  readonly kinds: readonly TestKind[];
  /** parts of file paths, any of which must match; none: all files */
  readonly filters: readonly string[];
  readonly namePatterns: readonly string[];
}

/** Reads `[KIND…] [FILTER…] [--test-name-pattern=PATTERN]`. @throws {Error} for an option that there is not */
export function readTestArguments(argv: readonly string[]): TestArguments {
  const kinds: TestKind[] = [];
  const filters: string[] = [];
  const namePatterns: string[] = [];
  const rest = argv.flatMap((word) =>
    word.startsWith('--') && word.includes('=') ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word],
  );
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] ?? '';
    if (word === '--test-name-pattern') {
      at += 1;
      namePatterns.push(rest[at] ?? '');
    } else if (word.startsWith('-')) {
      throw new Error(`Cannot run the tests as there is no such option: ${word}; there is --test-name-pattern=PATTERN`);
    } else if (isKind(word)) {
      kinds.push(word);
    } else {
      filters.push(word);
    }
  }
  return { kinds: kinds.length === 0 ? Object.keys(TEST_KINDS).filter(isKind) : kinds, filters, namePatterns };
}

/** Those of `files` that the filters let through; a filter may be a relative or an absolute path, or a part of one. */
export function filterFiles(files: readonly string[], filters: readonly string[]): readonly string[] {
  return filters.length === 0 ? files : files.filter((file) => filters.some((filter) => file.includes(filter.replace(/^\.\//u, ''))));
}

function isKind(word: string): word is TestKind {
  return Object.hasOwn(TEST_KINDS, word);
}
