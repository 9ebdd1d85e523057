import type { z } from 'zod';
import { pageOf } from '../http/paging.ts';
import type { Client } from './client.ts';

/** Fetches all pages of a list. */
export async function all<T extends z.ZodType>(
  client: Client,
  path: string,
  query: Record<string, string>,
  item: T,
): Promise<z.output<T>[]> {
  const items: z.output<T>[] = [];
  let cursor: string | null = null;
  do {
    const search = new URLSearchParams({ ...query, limit: '200', ...(cursor === null ? {} : { cursor }) });
    const page: { items: z.output<T>[]; nextCursor: string | null } = await client.get(
      `${path}?${search}`,
      pageOf(item),
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}
