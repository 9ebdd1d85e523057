import type { SandboxDatabase } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { findAnyObject } from './objects.ts';

/**
 * The expandable fields of one kind of object, with the kind of their values. A field may be nested, as in
 * `parent.subscription_details.subscription`. `invoice[]` is a list of invoices.
 */
export type Expandable = Readonly<Record<string, string>>;

/** Fields that an object has only on request, with the functions that read their values. */
export type Includes<T = never> = Readonly<
  Record<string, (database: SandboxDatabase, object: T) => Promise<unknown>>
>;

export interface Kind {
  expandable: Expandable;
  includes?: Includes;
}
export type Kinds = ReadonlyMap<string, Kind>;

const DEEPEST = 4;

interface Step {
  field: string[];
  kind: string;
}

/**
 * Checks the `expand` of a request against the kind of the answer, before anything happens.
 * @returns its paths
 */
export function parseExpand(kinds: Kinds, kind: string, paths: unknown): Step[][] {
  if (paths === undefined) return [];
  if (!Array.isArray(paths) || paths.some((path) => typeof path !== 'string'))
    throw invalidRequest('Invalid array', { param: 'expand' });
  return (paths as string[]).map((path) => {
    const parts = path.split('.');
    if (parts.length > DEEPEST) throw invalidRequest('You cannot expand more than 4 levels of a property');
    return toSteps(kinds, kind, parts) ?? refuse(kind, path);
  });
}

/** Replaces the ids at the paths by the objects themselves. */
export async function expand<T>(
  database: SandboxDatabase,
  kinds: Kinds,
  kind: string,
  answer: T,
  paths: Step[][],
): Promise<T> {
  if (paths.length === 0) return answer;
  const expanded = structuredClone(answer);
  for (const steps of paths) await follow(database, kinds, kind, expanded, steps);
  return expanded;
}

function toSteps(kinds: Kinds, kind: string, parts: string[]): Step[] | undefined {
  if (parts.length === 0) return [];
  for (let length = 1; length <= parts.length; length++) {
    const field = parts.slice(0, length);
    const next = findKind(kinds, kind, field.join('.'));
    if (next === undefined) continue;
    const rest = toSteps(kinds, next, parts.slice(length));
    return rest && [{ field, kind: next }, ...rest];
  }
  return undefined;
}

/** Returns the kind of a field's value, or undefined if it cannot be expanded. */
function findKind(kinds: Kinds, kind: string, field: string): string | undefined {
  if (kind.endsWith('[]')) return field === 'data' ? kind.slice(0, -2) : undefined;
  const expandable = kinds.get(kind)?.expandable ?? {};
  return Object.hasOwn(expandable, field) ? expandable[field] : undefined;
}

function refuse(kind: string, path: string): never {
  const hint =
    kind.endsWith('[]') && !path.startsWith('data.')
      ? ` You may want to try expanding 'data.${path}' instead.`
      : '';
  throw invalidRequest(`This property cannot be expanded (${path}).${hint}`);
}

async function follow(
  database: SandboxDatabase,
  kinds: Kinds,
  kind: string,
  target: unknown,
  [step, ...rest]: Step[],
): Promise<void> {
  if (step === undefined || typeof target !== 'object' || target === null) return;
  if (Array.isArray(target)) {
    for (const item of target) await follow(database, kinds, kind, item, [step, ...rest]);
    return;
  }
  const name = step.field.at(-1)!;
  const holder = step.field
    .slice(0, -1)
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
      target,
    );
  if (typeof holder !== 'object' || holder === null) return;
  const value = await readValue(database, kinds.get(kind)?.includes, target, name, Reflect.get(holder, name));
  if (value !== undefined) Reflect.set(holder, name, value);
  await follow(database, kinds, step.kind, value, rest);
}

async function readValue(
  database: SandboxDatabase,
  includes: Includes | undefined,
  target: object,
  name: string,
  value: unknown,
): Promise<unknown> {
  if (typeof value === 'string') return (await findAnyObject(database, value)) ?? value;
  const include = includes?.[name];
  return value === undefined && include !== undefined ? include(database, target as never) : value;
}
