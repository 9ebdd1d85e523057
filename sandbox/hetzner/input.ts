import { z } from 'zod';
import { invalidInput, notFound } from './errors.ts';

/** Parses a request's body or query. @throws HetznerError 422 that names every invalid field */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const messages = new Map<string, string[]>();
  for (const issue of result.error.issues) {
    const name = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.');
    messages.set(name, [...(messages.get(name) ?? []), issue.message]);
  }
  throw invalidInput([...messages].map(([name, list]) => ({ name, messages: list })));
}

/** Parses the id in a path. @throws HetznerError 404 if it is not a valid id */
export function parseId(text: string | undefined, what: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1 || id > 2_147_483_647) throw notFound(what);
  return id;
}

/** A query parameter that may be repeated. */
export const listParameter = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((value) => (value === undefined ? [] : [value].flat()));

/** A reference to a resource, by id (number or text) or by name. */
export const idOrName = z.union([z.number().int().positive(), z.string().min(1)]);
export type IdOrName = z.infer<typeof idOrName>;

/** Whether `reference` names the resource with this id and name. */
export function refersTo(reference: IdOrName, thing: { id: number; name: string | null }): boolean {
  return thing.name === reference || String(thing.id) === String(reference);
}

const HOSTNAME_PART = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** A server's name: a hostname by RFC 1123. */
export const hostname = z
  .string()
  .max(253)
  .refine((name) => name.split('.').every((part) => HOSTNAME_PART.test(part)), 'is not a valid hostname');

/** Names of all other resources. */
export const resourceName = z.string().min(1, 'is empty').max(128, 'is too long');
