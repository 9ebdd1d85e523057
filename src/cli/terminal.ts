import type { z } from 'zod';
import { pageOf } from '../http/paging.ts';
import type { BuiltinCommand } from './arguments.ts';
import type { Client } from './client.ts';

/** What the commands need from their caller. */
export interface Terminal {
  client: Client;
  print(line: string): void;
  /** Asks a person to confirm; undefined without an interactive terminal. */
  confirm: ((question: string) => Promise<boolean>) | undefined;
}

export type Of<N extends BuiltinCommand['name']> = Extract<BuiltinCommand, { name: N }>;

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

export function agentPath(agentId: string): string {
  return `/api/agents/${encodeURIComponent(agentId)}`;
}

export function printJson({ print }: Terminal, value: unknown): true {
  print(JSON.stringify(value, null, 2));
  return true;
}
