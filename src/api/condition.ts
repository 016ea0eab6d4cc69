/** Conditions: granular observations, with Kubernetes' meanings. */
import Type from 'typebox';
import { Closed, OneOf, Timestamp } from './meta.ts';

export const CONDITION_STATUSES = ['True', 'False', 'Unknown'] as const;
export type ConditionStatus = (typeof CONDITION_STATUSES)[number];

export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  /** CamelCase word that sums up the status */
  readonly reason: string;
  readonly message: string;
  /** when last sampled, RFC 3339 */
  readonly lastHeartbeatTime?: string;
  /** when `status` last changed, RFC 3339 */
  readonly lastTransitionTime: string;
}

const CamelCase = Type.String({ pattern: '^[A-Z][A-Za-z0-9]*$', maxLength: 64, expects: 'a CamelCase word' });

export const ConditionSchema = Closed({
  type: CamelCase,
  status: OneOf(CONDITION_STATUSES),
  reason: CamelCase,
  message: Type.String({ maxLength: 4096 }),
  lastHeartbeatTime: Type.Optional(Timestamp),
  lastTransitionTime: Timestamp,
});

/** What an agent reports: a condition without its times, which are the server's to write. Times sent along are ignored. */
export const ReportedCondition = Closed({
  type: CamelCase,
  status: OneOf(CONDITION_STATUSES),
  reason: Type.Optional(CamelCase),
  message: Type.Optional(Type.String({ maxLength: 4096 })),
  lastHeartbeatTime: Type.Optional(Type.String({ maxLength: 64 })),
  lastTransitionTime: Type.Optional(Type.String({ maxLength: 64 })),
});

/** The condition of `type`, if it is there. */
export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  for (const condition of conditions) {
    if (condition.type === type) {
      return condition;
    }
  }
  return undefined;
}

/**
 * Puts `next` in the place of the condition of its type; `lastTransitionTime` moves only when `status` changes.
 * @param now RFC 3339
 */
export function withCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime' | 'lastHeartbeatTime'>,
  now: string,
): readonly Condition[] {
  const previous = findCondition(conditions, next.type);
  const updated: Condition = {
    type: next.type,
    status: next.status,
    reason: next.reason,
    message: next.message,
    lastTransitionTime: previous?.status === next.status ? previous.lastTransitionTime : now,
  };
  return previous === undefined ? [...conditions, updated] : conditions.map((condition) => (condition === previous ? updated : condition));
}
