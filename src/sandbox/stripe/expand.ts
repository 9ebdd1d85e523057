import type { Queryable } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { findAnyObject } from './objects.ts';

const deepest = 4;

/** Puts objects in the place of the ids that `expand` names: `customer`, `latest_invoice.customer`, `data.customer`. */
export async function expand<T>(db: Queryable, answer: T, paths: unknown): Promise<T> {
  if (paths === undefined) return answer;
  if (!Array.isArray(paths) || paths.some((path) => typeof path !== 'string'))
    throw invalidRequest('Invalid array', { param: 'expand' });
  const expanded = structuredClone(answer);
  for (const path of paths as string[]) {
    const parts = path.split('.');
    if (parts.length > deepest)
      throw invalidRequest('You cannot expand more than 4 levels of a property', { param: 'expand' });
    await expandPath(db, expanded, parts);
  }
  return expanded;
}

async function expandPath(db: Queryable, target: unknown, [part, ...rest]: string[]): Promise<void> {
  if (part === undefined || typeof target !== 'object' || target === null) return;
  if (Array.isArray(target)) {
    for (const item of target) await expandPath(db, item, [part, ...rest]);
    return;
  }
  if (!Object.hasOwn(target, part))
    throw invalidRequest(`This property cannot be expanded (${part}).`, { param: 'expand' });
  const value: unknown = Reflect.get(target, part);
  const object = typeof value === 'string' ? ((await findAnyObject(db, value)) ?? value) : value;
  Reflect.set(target, part, object);
  await expandPath(db, object, rest);
}
