/**
 * A history: what concurrent clients asked of a store and were told, and when; and whether a store that keeps its promises can have told it.
 *
 * As each write that went through has a version of its own, their order is known, and checking needs no search: each write must be legal in
 * that order, and agree with real time; each read and each refusal must fit the state at some version between what was certain when it
 * was asked and what was possible when it was answered.
 * Source   Wing & Gong's linearizability, made simple by versions (as Jepsen's checks of etcd are).
 */

/** Numbers that only grow stand for time: one is drawn at each question and each answer. */
export interface Asked {
  readonly client: number;
  readonly askedAt: number;
  readonly answeredAt: number;
}

export type Outcome =
  | { readonly kind: 'written'; readonly version: number }
  | { readonly kind: 'refused'; readonly reason: 'AlreadyExists' | 'NotFound' | 'Conflict' }
  /** may have been done or not */
  | { readonly kind: 'unknown' };

export interface WriteRecord extends Asked {
  readonly op: 'create' | 'update' | 'delete';
  readonly name: string;
  /** what it makes of the object; unique over the history */
  readonly value: number;
  readonly expected?: number;
  readonly outcome: Outcome;
}

export interface Seen {
  readonly value: number;
  readonly version: number;
}

export interface ReadRecord extends Asked {
  readonly name: string;
  readonly seen: Seen | undefined;
}

export interface ListRecord extends Asked {
  readonly version: number;
  readonly items: ReadonlyMap<string, Seen>;
}

export interface WatchRecord {
  readonly since: number;
  /** version up to which it is certain to have seen everything */
  readonly until: number;
  readonly events: readonly {
    readonly version: number;
    readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
    readonly name: string;
    readonly value: number;
  }[];
}

export interface History {
  readonly writes: readonly WriteRecord[];
  readonly reads: readonly ReadRecord[];
  readonly lists: readonly ListRecord[];
  readonly watches: readonly WatchRecord[];
}

interface Done {
  readonly version: number;
  readonly record: WriteRecord;
}

/** The states of one object, in order: from `version` on it is `seen`. */
type Timeline = readonly { readonly version: number; readonly seen: Seen | undefined }[];

/** What is wrong, in sentences; none: the history is one that a store may have. */
export function checkHistory(history: History): readonly string[] {
  const done = history.writes
    .flatMap((record) => (record.outcome.kind === 'written' ? [{ version: record.outcome.version, record }] : []))
    .toSorted((left, right) => left.version - right.version);
  const timelines = toTimelines(done);
  const bounds = createBounds(history, done);
  return [
    ...checkOrder(done),
    ...checkLegality(done),
    ...history.writes.flatMap((record) => checkRefusal(record, timelines, bounds(record))),
    ...history.reads.flatMap((record) => checkRead(record, timelines, bounds(record))),
    ...history.lists.flatMap((record) => checkList(record, timelines, bounds(record))),
    ...history.watches.flatMap((record) => checkWatch(record, done)),
  ];
}

function toTimelines(done: readonly Done[]): ReadonlyMap<string, Timeline> {
  const timelines = new Map<string, { version: number; seen: Seen | undefined }[]>();
  for (const { version, record } of done) {
    const timeline = timelines.get(record.name) ?? [{ version: 0, seen: undefined }];
    timeline.push({ version, seen: record.op === 'delete' ? undefined : { value: record.value, version } });
    timelines.set(record.name, timeline);
  }
  return timelines;
}

interface Bounds {
  /** the newest version that somebody had been told of before the question */
  readonly least: number;
  /** the newest that somebody had asked for before the answer */
  readonly most: number;
}

/** What was certain and what was possible while something was asked. */
function createBounds({ reads, lists }: History, done: readonly Done[]): (asked: Asked) => Bounds {
  const told = [
    ...done.map(({ version, record }) => ({ version, at: record.answeredAt })),
    ...reads.map(({ seen, answeredAt }) => ({ version: seen?.version ?? 0, at: answeredAt })),
    ...lists.map(({ version, answeredAt }) => ({ version, at: answeredAt })),
  ];
  const asked = done.map(({ version, record }) => ({ version, at: record.askedAt }));
  const newestBefore = (entries: readonly { version: number; at: number }[]): ((at: number) => number) => {
    const sorted = entries.toSorted((left, right) => left.at - right.at);
    const newest: number[] = [];
    sorted.forEach(({ version }, index) => newest.push(Math.max(version, newest[index - 1] ?? 0)));
    return (at) => newest[sorted.findLastIndex((entry) => entry.at < at)] ?? 0;
  };
  const least = newestBefore(told);
  const most = newestBefore(asked);
  return ({ askedAt, answeredAt }) => ({ least: least(askedAt), most: most(answeredAt) });
}

function checkOrder(done: readonly Done[]): readonly string[] {
  const problems: string[] = [];
  let earliestAnswer = Infinity; // of the writes with greater versions
  for (const [index, { version, record }] of [...done.entries()].toReversed()) {
    if (done[index + 1]?.version === version) {
      problems.push(`version ${version} was given twice`);
    }
    if (earliestAnswer < record.askedAt) {
      problems.push(`the write of version ${version} was asked for after one of a greater version had been answered`);
    }
    earliestAnswer = Math.min(earliestAnswer, record.answeredAt);
  }
  return problems;
}

/** Each write against the state that the one before it left. */
function checkLegality(done: readonly Done[]): readonly string[] {
  const state = new Map<string, number>();
  return done.flatMap(({ version, record: { op, name, expected } }) => {
    const current = state.get(name);
    if (op === 'delete') {
      state.delete(name);
    } else {
      state.set(name, version);
    }
    if ((op === 'create') !== (current === undefined)) {
      return [`${op} of ${name} at version ${version} went through though it was ${current === undefined ? 'not there' : `at ${current}`}`];
    }
    return expected !== undefined && expected !== current
      ? [`${op} of ${name} at version ${version} went through though it was at ${current}, not at ${expected}`]
      : [];
  });
}

/** The states that the object may have been in. */
function statesWithin(timelines: ReadonlyMap<string, Timeline>, name: string, { least, most }: Bounds): Timeline {
  const timeline = timelines.get(name) ?? [{ version: 0, seen: undefined }];
  return timeline.filter(({ version }, index) => version <= Math.max(most, least) && (timeline[index + 1]?.version ?? Infinity) > least);
}

function checkRefusal(
  { op, name, expected, outcome }: WriteRecord,
  timelines: ReadonlyMap<string, Timeline>,
  bounds: Bounds,
): readonly string[] {
  if (outcome.kind !== 'refused') {
    return [];
  }
  const isRight = statesWithin(timelines, name, bounds).some(({ seen }) => {
    switch (outcome.reason) {
      case 'AlreadyExists':
        return seen !== undefined;
      case 'NotFound':
        return seen === undefined;
      case 'Conflict':
        return seen !== undefined && seen.version !== expected;
      default:
        return outcome.reason satisfies never;
    }
  });
  return isRight
    ? []
    : [`${op} of ${name} was refused as ${outcome.reason}, which it was not from version ${bounds.least} to ${bounds.most}`];
}

function checkRead({ client, name, seen }: ReadRecord, timelines: ReadonlyMap<string, Timeline>, bounds: Bounds): readonly string[] {
  const isRight = statesWithin(timelines, name, bounds).some((state) => isSame(state.seen, seen));
  return isRight ? [] : [`client ${client} read ${name} as ${show(seen)}, which it was not from version ${bounds.least} to ${bounds.most}`];
}

function checkList({ client, version, items }: ListRecord, timelines: ReadonlyMap<string, Timeline>, { least }: Bounds): readonly string[] {
  if (version < least) {
    return [`client ${client} was given a list of version ${version} though ${least} had been told`];
  }
  return [...new Set([...timelines.keys(), ...items.keys()])].flatMap((name) => {
    const expected = (timelines.get(name) ?? []).findLast((state) => state.version <= version)?.seen;
    return isSame(expected, items.get(name))
      ? []
      : [`a list of version ${version} has ${name} as ${show(items.get(name))}, it was ${show(expected)}`];
  });
}

function checkWatch({ since, until, events }: WatchRecord, done: readonly Done[]): readonly string[] {
  const expected = done.filter(({ version }) => version > since && version <= until).map(describeDone);
  const found = events
    .filter(({ version }) => version <= until)
    .map(({ version, type, name, value }) => `${version} ${type} ${name} ${type === 'DELETED' ? '' : value}`);
  const index = expected.findIndex((text, place) => text !== found[place]);
  if (index !== -1 || found.length !== expected.length) {
    const place = index === -1 ? expected.length : index;
    return [`a watch from ${since} gave "${found[place] ?? 'nothing'}" where "${expected[place] ?? 'nothing'}" was to come`];
  }
  return [];
}

function describeDone({ version, record: { op, name, value } }: Done): string {
  const type = op === 'create' ? 'ADDED' : op === 'update' ? 'MODIFIED' : 'DELETED';
  return `${version} ${type} ${name} ${op === 'delete' ? '' : value}`;
}

function isSame(left: Seen | undefined, right: Seen | undefined): boolean {
  return left?.version === right?.version && left?.value === right?.value;
}

function show(seen: Seen | undefined): string {
  return seen === undefined ? 'not there' : `${seen.value} at ${seen.version}`;
}
