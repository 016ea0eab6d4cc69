/**
 * Name holders: which machine holds each node's name, and where a second one claims it.
 *
 * Owns     node name -> holding (node-identity.ts decides what becomes of it), and which names have a second machine: until it has not
 *          been heard for a timeout. In memory; identity-record.ts is what lasts of it.
 * Never    judges who is alive: node-registry.ts says how long a name is held.
 * Callers  node-registry.ts; node-service.ts and start-nodes.ts take part through it.
 */
import type { Heartbeat } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { messageOfRivalry, refusalOf } from './identity-refusal.ts';
import { LeaseTable, NO_LEASE, type Leased } from './lease-table.ts';
import {
  creditHolding,
  granteeOf,
  holdMsOf,
  judgeHeartbeat,
  judgeRegistration,
  type Holding,
  type Moment,
  type Party,
  type Rivalry,
  type Verdict,
} from './node-identity.ts';
import type { Dispute } from './node-state.ts';

export interface NameHoldersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** how long a silent holder keeps the name, in milliseconds */
  readonly timeoutMs: number;
  /** for how long still, in milliseconds; undefined: whoever held it is silent */
  readonly heldForMs: (name: string) => number | undefined;
  /** called when another machine holds the name than before */
  readonly onHolder: (name: string) => void;
  /** called when the holder is on another machine than the one before */
  readonly onMachine?: ((name: string) => void) | undefined;
  /** called when there is a second machine, another one than before, or none any more */
  readonly onDispute: (name: string) => void;
  /** called when a second machine appears, and with undefined when it is no longer heard */
  readonly onRivalry?: ((name: string, rivalry: Rivalry | undefined) => void) | undefined;
}

/** A name with a second machine, until that one has not been heard for a timeout. */
interface Contest extends Leased<Contest> {
  readonly name: string;
  /** undefined: it was so already when the server started */
  rivalry: Rivalry | undefined;
}

export class NameHolders {
  readonly #options: NameHoldersOptions;
  readonly #holdings = new Map<string, Holding>();
  readonly #contests = new Map<string, Contest>();
  readonly #leases: LeaseTable<Contest>;

  constructor(options: NameHoldersOptions) {
    this.#options = options;
    this.#leases = new LeaseTable(options.timeoutMs);
  }

  /** @returns what to ask of the sender, whose heartbeat then does not count @throws {ApiError} NameTaken, DuplicateIdentity */
  judgeHeartbeat(name: string, identity: NonNullable<Heartbeat['identity']>, address: string | undefined): string | undefined {
    const verdict = judgeHeartbeat(this.#holdings.get(name), { ...identity, address }, this.#moment(name));
    this.#settle(name, verdict, 'beat as');
    return verdict.kind === 'challenged' ? verdict.question : undefined;
  }

  /** Whether `party` may register. @throws {ApiError} NameTaken, DuplicateIdentity */
  check(name: string, party: Party): void {
    const verdict = judgeRegistration(this.#holdings.get(name), party, this.#moment(name));
    if (verdict.kind === 'refused') {
      this.#settle(name, verdict, 'register');
    }
  }

  /** Takes in that `party` has registered. @throws {ApiError} as `check` */
  claim(name: string, party: Party): void {
    this.#settle(name, judgeRegistration(this.#holdings.get(name), party, this.#moment(name)), 'register');
  }

  find(name: string): Holding | undefined {
    return this.#holdings.get(name);
  }

  set(name: string, holding: Holding): void {
    this.#holdings.set(name, holding);
    this.#options.onHolder(name);
  }

  /** For a node that is gone, or made anew. */
  delete(name: string): void {
    this.#holdings.delete(name);
    const contest = this.#contests.get(name);
    if (contest !== undefined) {
      this.#leases.delete(contest);
      this.#contests.delete(name);
    }
  }

  /** Keeps up for a timeout what the stored status says: that there is a second machine. */
  resumeDispute(name: string): void {
    this.#renew(name, undefined);
  }

  findDispute(name: string): Dispute | undefined {
    const contest = this.#contests.get(name);
    if (contest === undefined) {
      return undefined;
    }
    const { rivalry } = contest;
    return rivalry === undefined ? 'AsBefore' : { reason: rivalry.reason, message: messageOfRivalry(name, rivalry) };
  }

  /** Ends the disputes whose second machine has not been heard for a timeout. @param nowMs monotonic */
  expire(nowMs: number): void {
    for (const { name } of this.#leases.takeExpired(nowMs)) {
      this.#contests.delete(name);
      this.#options.onDispute(name);
      this.#options.onRivalry?.(name, undefined);
    }
  }

  /** When `expire` next has something to do, monotonic; Infinity: never. */
  nextDeadlineMs(): number {
    return this.#leases.nextDeadlineMs();
  }

  /** As HOLD_HEADER, of whoever holds the name. */
  holdMs(name: string): number | undefined {
    const holding = this.#holdings.get(name);
    return holding?.trial && holdMsOf(holding, this.#options.clock.monotonicMs());
  }

  /** As LeaseTable.credit. */
  credit(byMs: number): void {
    this.#leases.credit(byMs);
    for (const [name, holding] of this.#holdings) {
      if (holding.trial !== undefined || holding.elders.length > 0) {
        this.#holdings.set(name, creditHolding(holding, byMs));
      }
    }
  }

  #moment(name: string): Moment {
    const { clock, random, timeoutMs, heldForMs } = this.#options;
    return { nowMs: clock.monotonicMs(), timeoutMs, heldForMs: heldForMs(name), ask: () => random.uuid() };
  }

  #settle(name: string, verdict: Verdict, action: string): void {
    const { timeoutMs } = this.#options;
    const heldForMs = this.#options.heldForMs(name);
    const before = this.#holdings.get(name)?.holder;
    const isAnother = before !== verdict.holding.holder;
    this.#holdings.set(name, verdict.holding);
    if (before === undefined || granteeOf(before) !== granteeOf(verdict.holding.holder)) {
      this.#options.onMachine?.(name);
    }
    if (isAnother) {
      this.#options.onHolder(name);
    }
    if (verdict.kind !== 'challenged' && verdict.rivalry !== undefined && heldForMs !== undefined) {
      this.#dispute(name, verdict.rivalry);
    }
    if (verdict.kind === 'refused') {
      // asked again before the dispute would end: a second machine that stays is told of without a gap
      const retryAfterMs = Math.max(1000, Math.min(heldForMs ?? 0, Math.floor(timeoutMs / 1500) * 1000));
      throw refusalOf(action, name, verdict.rivalry, { timeoutMs, retryAfterMs });
    }
  }

  #dispute(name: string, rivalry: Rivalry): void {
    const before = this.findDispute(name);
    const isNew = this.#renew(name, rivalry);
    if (isNew) {
      this.#options.onRivalry?.(name, rivalry);
    }
    if (typeof before !== 'object' || before.message !== messageOfRivalry(name, rivalry)) {
      this.#options.onDispute(name);
    }
  }

  /** @returns whether there was no second machine before */
  #renew(name: string, rivalry: Rivalry | undefined): boolean {
    const contest: Contest = this.#contests.get(name) ?? { name, rivalry, ...NO_LEASE };
    contest.rivalry = rivalry;
    this.#contests.set(name, contest);
    return this.#leases.renew(contest, this.#options.clock.monotonicMs());
  }
}
