/**
 * Node identity: who holds a node's name, so that two machines never share one. Pure.
 *
 * An agent makes an id at its first start and keeps it in its data folder, and a bootId at each start. Who holds a name is decided so:
 *
 * 1. Another id: the holder keeps the name while it lives (lease or fresh registration); once it is silent for a timeout, or its
 *    identity was reset, whoever registers next gets it.
 * 2. The same id with another bootId is a restart or a copy of the disk, and nobody can tell which at once. So it gets in at once: a
 *    restart is never locked out. The boot before it becomes an elder: it may prove that it still lives.
 *    An elder that registers again in that time is still one: it is heard by its heartbeats.
 * 3. A heartbeat from a boot that does not hold the name is not taken in but challenged: who answers in its next heartbeat what it has
 *    just been asked is alive, whereas one that a dead process left behind in some socket cannot answer, however late it comes.
 * 4. An elder that answers within a timeout has the name again, and every boot younger than it is refused from then on: the newcomer
 *    was the second. One that answers later, or that nobody knew of, is itself the second, and refused.
 * 5. Where no boot is known to be alive (the server was restarted, or the holder silent for a timeout) the first to beat holds the
 *    name, and for one timeout any other boot that answers is its elder.
 * 6. A newcomer that says it is on another machine than its id was on before (booted since, or a copy) is on trial: it starts nothing
 *    until its elder has been silent for half a timeout, in which it should have beaten at least once, and what it starts after that it
 *    takes back should the elder be heard all the same, until nothing is in dispute any more.
 *
 * So of two live copies the younger is found out with the next heartbeat of the elder, within one heartbeat interval, and has started
 * nothing by then. What is fenced does not go by this but by what was granted: see fence-ledger.ts.
 * Memory clones (one bootId twice, as after resuming a virtual machine's snapshot in two places) cannot be told apart.
 * Callers  name-holders.ts, which keeps a Holding for each node.
 */

/** A machine that speaks under a node's name: what its agent says of itself, and where the server sees it. */
export interface Party {
  readonly id: string;
  /** undefined: not said, or not known since the server started */
  readonly bootId?: string | undefined;
  /** of one machine while it is up; undefined: not said */
  readonly machine?: string | undefined;
  /** the agent says that `machine` is another one than when its id was last accepted */
  readonly unproven?: boolean | undefined;
  readonly hostname?: string | undefined;
  /** remote IP address */
  readonly address?: string | undefined;
}

interface Boot {
  readonly bootId: string;
  /** as it said when it registered: heartbeats do not */
  readonly hostname?: string | undefined;
}

interface Elder extends Boot {
  /** until when it may prove that it was first, monotonic ms */
  readonly untilMs: number;
}

/** Times in monotonic ms. */
interface Trial {
  /** from when the holder may start something */
  readonly startAtMs: number;
  /** from when nobody disputes it any more */
  readonly endAtMs: number;
}

/** Who holds a name, and what is still open. */
export interface Holding {
  readonly holder: Party;
  /** whether `holder` has beaten since it came to hold the name: then it was alive at the time */
  readonly hasBeaten: boolean;
  /** whether the identity was reset: the next to register gets the name */
  readonly isReleased: boolean;
  /** boots of the holder's id that held the name before it, oldest first */
  readonly elders: readonly Elder[];
  /** boots of the holder's id that were found to be second */
  readonly refused: readonly Boot[];
  /** what was asked last, and of whom */
  readonly challenge?: { readonly bootId: string; readonly question: string } | undefined;
  /** of a holder that may be a copy */
  readonly trial?: Trial | undefined;
}

/** Why there is a second: another identity wants the name, or one identity is on two machines. */
export type RivalReason = 'NameClaimed' | 'IdentityShared';

export interface Rivalry {
  readonly reason: RivalReason;
  readonly holder: Party;
  /** who is refused */
  readonly other: Party;
}

export type Verdict =
  /** `rivalry`: another was found to be second by this */
  | { readonly kind: 'granted'; readonly holding: Holding; readonly rivalry?: Rivalry }
  /** to be asked `question`; until it answers, what it says does not count */
  | { readonly kind: 'challenged'; readonly holding: Holding; readonly question: string }
  | { readonly kind: 'refused'; readonly holding: Holding; readonly rivalry: Rivalry };

export interface Moment {
  /** monotonic */
  readonly nowMs: number;
  /** how long a silent holder keeps the name, in milliseconds */
  readonly timeoutMs: number;
  /** for how long the holder may still be silent before it loses the name, in milliseconds; undefined: it has been for too long */
  readonly heldForMs: number | undefined;
  /** makes a question that nobody can guess */
  readonly ask: () => string;
}

const ANY_BOOT = '*'; // of an elder that the server has forgotten

// Bounds on memory, for an agent that restarts all the time beside a copy of its own.
const MAX_ELDERS = 16; // restarts, and what dead processes left behind, within a timeout: who falls out could not prove that it lives
const MAX_REFUSED = 8;

/** What an agent's registration comes to. @param holding undefined: nobody has said that the name is theirs */
export function judgeRegistration(holding: Holding | undefined, claimant: Party, moment: Moment): Verdict {
  if (holding === undefined || holding.isReleased) {
    return { kind: 'granted', holding: newHolding(claimant) };
  }
  const { holder, refused } = holding;
  if (holder.id !== claimant.id) {
    return isLive(moment) ? refuse(holding, claimant, 'NameClaimed') : { kind: 'granted', holding: newHolding(claimant) };
  }
  const { bootId } = claimant;
  if (bootId === undefined || bootId === holder.bootId) {
    return { kind: 'granted', holding: { ...holding, holder: claimant } };
  }
  const known = refused.find((boot) => boot.bootId === bootId);
  if (isLive(moment) && known !== undefined) {
    return refuse(holding, claimant, 'IdentityShared');
  }
  if (isLive(moment) && holding.elders.some((elder) => elder.bootId === bootId && elder.untilMs >= moment.nowMs)) {
    return { kind: 'granted', holding }; // it has to beat for the name: a registration can be what a dead process left behind
  }
  const others = holding.elders.filter((elder) => elder.bootId !== bootId && elder.untilMs >= moment.nowMs).slice(0, MAX_ELDERS - 1);
  return {
    kind: 'granted',
    holding: {
      ...newHolding(claimant),
      elders: [...others, newElder(holder.bootId ?? ANY_BOOT, holder.hostname, moment)],
      refused: refused.filter((boot) => boot !== known),
      ...trialOf(claimant, moment),
    },
  };
}

/** What a heartbeat comes to. @param answer to the question of a challenge */
export function judgeHeartbeat(
  holding: Holding | undefined,
  { answer, ...party }: Party & { readonly answer?: string | undefined },
  moment: Moment,
): Verdict {
  if (holding === undefined) {
    return { kind: 'granted', holding: { ...newHolding(party), hasBeaten: true } };
  }
  const { holder, challenge } = holding;
  if (holder.id !== party.id) {
    return refuse(holding, party, 'NameClaimed');
  }
  if (party.bootId === undefined || party.bootId === holder.bootId) {
    return { kind: 'granted', holding: holding.hasBeaten ? holding : { ...holding, hasBeaten: true } };
  }
  if (holder.bootId === undefined || !isLive(moment)) {
    const hostname = party.hostname ?? holder.hostname;
    const elders = [newElder(ANY_BOOT, hostname, moment)]; // this may be what a dead process left behind
    return {
      kind: 'granted',
      holding: { ...newHolding({ ...party, hostname }), isReleased: holding.isReleased, elders, ...trialOf(party, moment) },
    };
  }
  const known = holding.refused.find(({ bootId }) => bootId === party.bootId);
  if (known !== undefined) {
    return refuse(holding, { ...party, hostname: party.hostname ?? known.hostname }, 'IdentityShared');
  }
  if (challenge?.bootId === party.bootId && challenge.question === answer) {
    return judgeProven(holding, party, moment);
  }
  const question = challenge?.bootId === party.bootId ? challenge.question : moment.ask();
  return { kind: 'challenged', holding: { ...holding, challenge: { bootId: party.bootId, question } }, question };
}

/** `party` lives, and does not hold the name: it or the holder is the second. */
function judgeProven(holding: Holding, party: Party, { nowMs }: Moment): Verdict {
  const { holder, elders, refused } = holding;
  const rank = elders.findIndex(({ bootId, untilMs }) => (bootId === party.bootId || bootId === ANY_BOOT) && untilMs >= nowMs);
  if (rank === -1) {
    return refuse({ ...holding, refused: withBoots(refused, [party]), challenge: undefined }, party, 'IdentityShared');
  }
  const younger = [...elders.slice(rank + 1), holder].filter(({ bootId }) => bootId !== party.bootId);
  const elder = { ...party, hostname: party.hostname ?? elders[rank]?.hostname };
  return {
    kind: 'granted',
    holding: { ...newHolding(elder), hasBeaten: true, elders: elders.slice(0, rank), refused: withBoots(refused, younger) },
    // one that registered and never beat may have been a message of a dead process
    ...(holding.hasBeaten && { rivalry: { reason: 'IdentityShared', holder: elder, other: holder } }),
  };
}

/** The holding of one that nobody disputes. */
export function newHolding(holder: Party): Holding {
  return { holder, hasBeaten: false, isReleased: false, elders: NONE, refused: NONE };
}

const NONE: readonly never[] = []; // shared: there is a Holding for each node

function isLive({ heldForMs }: Moment): boolean {
  return heldForMs !== undefined;
}

function trialOf({ unproven }: Party, { nowMs, timeoutMs, heldForMs }: Moment): Pick<Holding, 'trial'> | undefined {
  return unproven === true && heldForMs !== undefined
    ? { trial: { startAtMs: nowMs + Math.max(0, heldForMs - timeoutMs / 2), endAtMs: nowMs + timeoutMs } }
    : undefined;
}

/** See HOLD_HEADER. @returns undefined when the holder is not on trial */
export function holdMsOf({ trial }: Holding, nowMs: number): number | undefined {
  return trial === undefined || nowMs >= trial.endAtMs ? undefined : Math.max(0, trial.startAtMs - nowMs);
}

/** The holding after the server has stood still for so long, in which nobody could be heard. */
export function creditHolding(holding: Holding, byMs: number): Holding {
  const { trial, elders } = holding;
  return {
    ...holding,
    elders: elders.map((elder) => ({ ...elder, untilMs: elder.untilMs + byMs })),
    ...(trial && { trial: { startAtMs: trial.startAtMs + byMs, endAtMs: trial.endAtMs + byMs } }),
  };
}

/** Every boot that has registered under the name and may still be running: the holder's, and those before and beside it. */
export function bootsOf({ holder, elders, refused }: Holding): readonly string[] {
  const all = [...refused, ...elders, holder].flatMap(({ bootId }) => bootId ?? []);
  return all.filter((bootId, index) => bootId !== ANY_BOOT && all.indexOf(bootId) === index);
}

/** What of a machine the fence ledger knows it by. */
export function granteeOf({ id, machine }: Party): string {
  return machine ?? id;
}

function newElder(bootId: string, hostname: string | undefined, { nowMs, timeoutMs }: Moment): Elder {
  return { bootId, hostname, untilMs: nowMs + timeoutMs };
}

function refuse(holding: Holding, other: Party, reason: RivalReason): Verdict {
  return { kind: 'refused', holding, rivalry: { reason, holder: holding.holder, other } };
}

function withBoots(refused: readonly Boot[], boots: readonly Pick<Party, 'bootId' | 'hostname'>[]): readonly Boot[] {
  const known = boots.flatMap(({ bootId, hostname }) => (bootId === undefined || bootId === ANY_BOOT ? [] : [{ bootId, hostname }]));
  return [...new Map([...refused, ...known].map((boot) => [boot.bootId, boot])).values()].slice(-MAX_REFUSED);
}
