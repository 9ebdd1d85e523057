import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallLimits, CallWatch } from '../http-client/exchange.ts';
import { HttpError, requestJson } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';
import { hetznerError } from './refusals.ts';

export interface HetznerAccount extends CallLimits {
  /** The project's, as the installation names it; default: `default`. */
  name?: string;
  token: Secret;
  endpoint: string;
}

/** The sender that error messages name. */
export const HETZNER = 'Hetzner';

export type Call = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  options?: { body?: object; signal?: AbortSignal | undefined },
) => Promise<unknown>;

/** A page of a list, in the order of ids. `nextPage` is null on the last one. */
export interface Page<T> {
  items: T[];
  /** How many items all pages have; null if the answer does not say. */
  total: number | null;
  nextPage: number | null;
}

/** Returns a function that calls Hetzner's API. It throws our errors. */
export function createCall(account: HetznerAccount, watch?: CallWatch): Call {
  return (method, path, { body, signal } = {}) =>
    requestJson({
      method,
      url: `${account.endpoint}${path}`,
      headers: {
        authorization: `Bearer ${account.token.reveal()}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal,
      watch,
      vendor: 'hetzner',
      account: account.name,
      timeoutSeconds: account.timeoutSeconds,
    }).catch((error) => Promise.reject(hetznerError(error)));
}

/** Returns undefined on a 404. */
export async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return undefined;
    throw error;
  }
}

/** Returns the query for resources with all these labels. */
export function withLabels(labels: Record<string, string>): string {
  const text = Object.entries(labels)
    .map(([key, value]) => `${key}==${value}`)
    .join(',');
  return `label_selector=${encodeURIComponent(text)}`;
}

/** Returns the query for the resource with this name. */
export const withName = (name: string) => `name=${encodeURIComponent(name)}`;

const pagination = z.object({
  meta: z.object({
    pagination: z.object({ next_page: z.number().nullable(), total_entries: z.int().min(0).nullish() }),
  }),
});

/** Pages of 50: more than any project may hold. */
const MOST_PAGES = 1000;

/** A list's kind, as the path and the answer name it, with the schema of its items. */
export interface List<T> {
  kind: 'servers' | 'ssh_keys' | 'images' | 'firewalls' | 'server_types';
  item: z.ZodType<T>;
}

/** Reads all items of a list. */
export async function readList<T>(call: Call, { kind, item }: List<T>, query: string): Promise<T[]> {
  const found: T[] = [];
  for (let page: number | null = 1; page !== null; ) {
    if (page > MOST_PAGES)
      throw new RetryableError(`${HETZNER} does not stop listing ${kind}: more than ${MOST_PAGES} pages`);
    const answer = await call('GET', `/${kind}?${query}&per_page=50&page=${page}`);
    found.push(...toItems(answer, { kind, item }));
    const { meta } = parseAnswer(pagination.partial(), answer, HETZNER);
    page = toNextPage(meta?.pagination.next_page, page);
  }
  return found;
}

/** Reads one page of a list. The answer must say whether another one follows. */
export async function readPage<T>(
  call: Call,
  { kind, item }: List<T>,
  { query, page }: { query: string; page: number },
): Promise<Page<T>> {
  const answer = await call('GET', `/${kind}?${query}&sort=id%3Aasc&per_page=50&page=${page}`);
  const { meta } = parseAnswer(pagination, answer, HETZNER);
  const { next_page: next, total_entries: total = null } = meta.pagination;
  return { items: toItems(answer, { kind, item }), total, nextPage: toNextPage(next, page) };
}

function toItems<T>(answer: unknown, { kind, item }: List<T>): T[] {
  return parseAnswer(z.object({ [kind]: z.array(item) }), answer, HETZNER)[kind] ?? [];
}

/** Returns null after the last page, and if the given number would lead back. */
function toNextPage(given: number | null | undefined, page: number): number | null {
  return typeof given === 'number' && given > page ? given : null;
}
