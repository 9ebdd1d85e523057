import { z } from 'zod';
import { CommandError, type Connection, ServiceAway } from './connection.ts';

/**
 * HTTP client of the running service. Looks the connection up on every call: a restarted service may listen
 * on another port.
 */
export interface Client {
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  post<T>(path: string, schema: z.ZodType<T>, body?: object): Promise<T>;
  patch<T>(path: string, schema: z.ZodType<T>, body: object): Promise<T>;
  /** Streams the response body. @throws ServiceAway if the service does not answer. */
  stream(
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
}

const problemSchema = z.object({ detail: z.string() });

export function createClient(connect: () => Promise<Connection>): Client {
  const ask = async (path: string, init: RequestInit): Promise<Response> => {
    const { url, apiToken } = await connect();
    const headers = { ...init.headers, authorization: `Bearer ${apiToken.reveal()}` };
    const response = await fetch(`${url}${path}`, { ...init, headers }).catch((error: unknown) => {
      throw new ServiceAway(`The service at ${url} does not answer. Is it running?`, { cause: error });
    });
    if (!response.ok) throw await refusal(response, url);
    return response;
  };
  const send = async (method: 'POST' | 'PATCH', path: string, body?: object): Promise<unknown> => {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return (await ask(path, { method, ...json })).json();
  };
  return {
    get: async (path, schema) => schema.parse(await (await ask(path, {})).json()),
    post: async (path, schema, body) => schema.parse(await send('POST', path, body)),
    patch: async (path, schema, body) => schema.parse(await send('PATCH', path, body)),
    stream: async (path, headers, signal) => {
      const { body } = await ask(path, { headers, signal });
      if (body === null) throw new ServiceAway('The service sent no events');
      return body;
    },
  };
}

async function refusal(response: Response, url: string): Promise<CommandError> {
  if (response.status === 401) {
    return new CommandError(`The service at ${url} rejected the token (API_TOKEN)`);
  }
  const problem = problemSchema.safeParse(await response.json().catch(() => undefined)).data;
  const message = problem?.detail ?? `The service at ${url} answered ${response.status}`;
  return response.status >= 500 ? new ServiceAway(message) : new CommandError(message);
}
