/** Label selectors: `zone=ed312,tier!=dev,arch in (arm64,amd64),gpu,!spot`. Source: Kubernetes' grammar. */
import { ApiError } from './errors.ts';
import { LABEL_KEY, LABEL_VALUE, matches } from './names.ts';
import type { Labels } from './meta.ts';

export interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent';
  readonly values: readonly string[];
}

const REQUIREMENT =
  /^(?:(?<absent>!)?(?<bare>[^\s=!,()]+)|(?<key>[^\s=!,()]+)\s*(?<equals>==?|!=)\s*(?<value>[^\s=!,()]*)|(?<setKey>[^\s=!,()]+)\s+(?<set>in|notin)\s*\((?<values>[^()]*)\))$/u;

/** Reads a selector; "" selects everything. @throws {ApiError} Invalid, naming the part that is wrong */
export function parseSelector(text: string): readonly Requirement[] {
  return splitRequirements(text).map((part) => {
    const groups = REQUIREMENT.exec(part)?.groups;
    const requirement = groups && toRequirement(groups);
    if (!requirement || !matches(LABEL_KEY, requirement.key) || !requirement.values.every((value) => matches(LABEL_VALUE, value))) {
      throw new ApiError(
        'Invalid',
        `Cannot read label selector as each part must be key, !key, key=value, key!=value, key in (a,b) or key notin (a,b): current part is ${JSON.stringify(part)}`,
      );
    }
    return requirement;
  });
}

function toRequirement(groups: Readonly<Record<string, string | undefined>>): Requirement {
  if (groups['bare'] !== undefined) {
    return { key: groups['bare'], operator: groups['absent'] === undefined ? 'exists' : 'absent', values: [] };
  }
  if (groups['key'] !== undefined) {
    return { key: groups['key'], operator: groups['equals'] === '!=' ? 'notin' : 'in', values: [groups['value'] ?? ''] };
  }
  return {
    key: groups['setKey'] ?? '',
    operator: groups['set'] === 'in' ? 'in' : 'notin',
    values: (groups['values'] ?? '').split(',').map((value) => value.trim()),
  };
}

/** Splits at commas outside parentheses. */
function splitRequirements(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= text.length; index += 1) {
    const character = text[index];
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    if (character === undefined || (character === ',' && depth === 0)) {
      parts.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  return parts.length === 1 && parts[0] === '' ? [] : parts;
}

/** Tells whether `labels` meet every requirement. As in Kubernetes, `!=` and `notin` hold where the key is absent. */
export function selects(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'exists':
        return value !== undefined;
      case 'absent':
        return value === undefined;
      case 'in':
        return value !== undefined && values.includes(value);
      case 'notin':
        return value === undefined || !values.includes(value);
      default:
        return operator satisfies never;
    }
  });
}

/** The requirements of a `nodeSelector`: every pair must be there as written. */
export function requirementsOf(labels: Labels): readonly Requirement[] {
  return Object.entries(labels).map(([key, value]) => ({ key, operator: 'in', values: [value] }));
}
