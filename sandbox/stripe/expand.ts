import type { Queryable } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { findAnyObject } from './objects.ts';

/**
 * What can be expanded in one kind of object: by field (`parent.subscription_details.subscription` for one that lies
 * deeper) the kind of what stands there. `invoice[]` is a list of invoices.
 */
export type Expandable = Readonly<Record<string, string>>;

/** Parts of an object that it has only where they are asked for: by field, how they are gathered. */
export type Includes<T = never> = Readonly<Record<string, (db: Queryable, object: T) => Promise<unknown>>>;

export type Kind = { expandable: Expandable; includes?: Includes };
export type Kinds = ReadonlyMap<string, Kind>;

const DEEPEST = 4;

type Step = { field: string[]; kind: string };

/** Checks the `expand` of a request against what the answer will be, before anything is done. Answers its paths. */
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

/** Puts objects in the place of the ids that the paths lead to. */
export async function expand<T>(
  db: Queryable,
  kinds: Kinds,
  kind: string,
  answer: T,
  paths: Step[][],
): Promise<T> {
  if (paths.length === 0) return answer;
  const expanded = structuredClone(answer);
  for (const steps of paths) await follow(db, kinds, kind, expanded, steps);
  return expanded;
}

function toSteps(kinds: Kinds, kind: string, parts: string[]): Step[] | undefined {
  if (parts.length === 0) return [];
  for (let length = 1; length <= parts.length; length++) {
    const field = parts.slice(0, length);
    const next = kindAt(kinds, kind, field.join('.'));
    if (next === undefined) continue;
    const rest = toSteps(kinds, next, parts.slice(length));
    return rest && [{ field, kind: next }, ...rest];
  }
  return undefined;
}

/** The kind of what stands in a field, where that can be expanded. */
function kindAt(kinds: Kinds, kind: string, field: string): string | undefined {
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
  db: Queryable,
  kinds: Kinds,
  kind: string,
  target: unknown,
  [step, ...rest]: Step[],
): Promise<void> {
  if (step === undefined || typeof target !== 'object' || target === null) return;
  if (Array.isArray(target)) {
    for (const item of target) await follow(db, kinds, kind, item, [step, ...rest]);
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
  const value = await objectIn(db, kinds.get(kind)?.includes, target, name, Reflect.get(holder, name));
  if (value !== undefined) Reflect.set(holder, name, value);
  await follow(db, kinds, step.kind, value, rest);
}

async function objectIn(
  db: Queryable,
  includes: Includes | undefined,
  target: object,
  name: string,
  value: unknown,
): Promise<unknown> {
  if (typeof value === 'string') return (await findAnyObject(db, value)) ?? value;
  const include = includes?.[name];
  return value === undefined && include !== undefined ? include(db, target as never) : value;
}
