import { type Expression, expressionBuilder, type SqlBool, sql } from 'kysely';
import { invalidField } from './errors.ts';
import { isLabelKey, isLabelValue, type Labels } from './labels.ts';

/** One requirement of a selector: the key exists (or not), or its value is in a set (or not). */
export type Requirement =
  | { key: string; kind: 'exists'; wanted: boolean }
  | { key: string; kind: 'in'; values: string[]; wanted: boolean };

/**
 * Parses `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a,b)` and `k notin (a,b)`, joined by commas.
 * @throws HetznerError invalid_input
 */
export function parseLabelSelector(text: string): Requirement[] {
  if (text.trim() === '') return [];
  // Commas within the parentheses of a set do not separate requirements.
  return text.split(/,(?![^(]*\))/).map((part) => parseRequirement(part.trim()));
}

function parseRequirement(text: string): Requirement {
  const requirement = readRequirement(text);
  const values = requirement?.kind === 'in' ? requirement.values : [];
  if (!requirement || !isLabelKey(requirement.key) || !values.every(isLabelValue))
    throw invalidField('label_selector', `'${text}' is not a valid label selector`);
  return requirement;
}

function readRequirement(text: string): Requirement | undefined {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set) {
    const values = set[3]!.split(',').map((value) => value.trim());
    return { key: set[1]!, kind: 'in', values, wanted: set[2] === 'in' };
  }
  const comparison = /^([^\s!=]+)\s*(==|!=|=)\s*([^\s!=]*)$/.exec(text);
  if (comparison)
    return { key: comparison[1]!, kind: 'in', values: [comparison[3]!], wanted: comparison[2] !== '!=' };
  const presence = /^(!?)\s*([^\s!=()]+)$/.exec(text);
  if (presence) return { key: presence[2]!, kind: 'exists', wanted: presence[1] === '' };
  return undefined;
}

/** Whether these labels meet all requirements. A missing key is "not equal" to every value. */
export function matchesSelector(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every((requirement) => {
    const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
    const holds =
      requirement.kind === 'exists'
        ? value !== undefined
        : value !== undefined && requirement.values.includes(value);
    return holds === requirement.wanted;
  });
}

/** Returns the requirements as SQL conditions on the column `labels`. */
export function selectorConditions(requirements: readonly Requirement[]): Expression<SqlBool>[] {
  const eb = expressionBuilder<{ resource: { labels: Labels } }, 'resource'>();
  return requirements.map((requirement) => {
    const condition =
      requirement.kind === 'exists'
        ? sql<SqlBool>`labels ? ${requirement.key}`
        : sql<SqlBool>`coalesce(labels ->> ${requirement.key} = any(${requirement.values}), false)`;
    return requirement.wanted ? condition : eb.not(condition);
  });
}
