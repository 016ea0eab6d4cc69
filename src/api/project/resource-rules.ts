/** What a schema cannot say about the resources of a service; pure. Callers: project-rules.ts. */
import type { FieldError } from '../errors.ts';
import type { Service } from '../project.ts';
import { quantityToMillis } from '../quantity.ts';

/** What the engine takes at least, as Docker's does; 0 is no limit. */
const LEAST_LIMIT = { cpu: '10m', memory: '6Mi' } as const;

/** @param base the pointer of the service */
export function checkResources({ resources = {} }: Pick<Service, 'resources'>, base: string): readonly FieldError[] {
  return (['cpu', 'memory', 'disk'] as const).flatMap((resource) => {
    const asked = resources.requests?.[resource];
    const limit = resources.limits?.[resource];
    const pointerOf = (kind: 'requests' | 'limits'): string => `${base}/resources/${kind}/${resource}`;
    const errors = [
      ...(resource === 'cpu' ? [] : [...checkBytes(asked, pointerOf('requests')), ...checkBytes(limit, pointerOf('limits'))]),
      ...(resource === 'disk' || limit === undefined ? [] : checkLeast(limit, LEAST_LIMIT[resource], pointerOf('limits'))),
    ].filter((error, index, all) => all.findIndex(({ pointer }) => pointer === error.pointer) === index);
    return errors.length > 0 || asked === undefined || limit === undefined || quantityToMillis(asked) <= quantityToMillis(limit)
      ? errors
      : [{ pointer: pointerOf('requests'), detail: `must not be more than the limit: ${asked} asked, limit ${limit}` }];
  });
}

/** "512m" is half a byte here, and half a gigabyte in Compose. */
function checkBytes(amount: string | number | undefined, pointer: string): readonly FieldError[] {
  const number = /^(?<number>.+)[mun]$/u.exec(String(amount ?? ''))?.groups?.['number'];
  return number === undefined
    ? []
    : [
        {
          pointer,
          detail: `is a fraction of a byte, as m means thousandths: is ${number}Mi meant? Current value is ${JSON.stringify(amount)}`,
        },
      ];
}

function checkLeast(limit: string | number, least: string, pointer: string): readonly FieldError[] {
  const millis = quantityToMillis(limit);
  return millis === 0 || millis >= quantityToMillis(least)
    ? []
    : [
        {
          pointer,
          detail: `must be at least ${least}, the least that engines take, or 0 for no limit: current value is ${JSON.stringify(limit)}`,
        },
      ];
}
