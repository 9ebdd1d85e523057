import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api.d.ts';

/** The API, typed: its routes, what they take and what they answer, as the OpenAPI document says. */
export type ApiClient = Client<paths>;

/** A named schema of the document, such as `Schema<'Agent'>`. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

/** The path of a route, with parameters as `{name}`. */
export type ApiPath = keyof paths;

export interface ClientOptions {
  /** The service's address, without a trailing slash. */
  url: string;
  token: string;
  /** Default: the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
  headers?: Record<string, string>;
}

/** Creates a client of a running service. */
export function createApiClient({ url, token, fetch, headers }: ClientOptions): ApiClient {
  return createClient<paths>({
    baseUrl: url,
    headers: { ...headers, authorization: `Bearer ${token}` },
    ...(fetch && { fetch }),
  });
}

/**
 * Waits for the answer of a call. Usage: `await answer(api.GET('/api/pool'))`.
 * @throws Error with the problem's `detail` unless it succeeded
 */
export async function answer<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const detail = (error as { detail?: unknown } | undefined)?.detail;
  throw new Error(typeof detail === 'string' ? detail : `The service answered ${response.status}`, {
    cause: error,
  });
}

/** Every item of a list, page by page. `page` fetches the one at a cursor. */
export async function allPages<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; nextCursor: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null | undefined;
  do {
    const found: { items: T[]; nextCursor: string | null } = await page(cursor ?? undefined);
    items.push(...found.items);
    cursor = found.nextCursor;
  } while (cursor !== null);
  return items;
}
