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
  const ask = async (path: string, init: RequestInit): Promise<{ response: Response; url: string }> => {
    const { url, apiToken } = await connect();
    const headers = { ...init.headers, authorization: `Bearer ${apiToken.reveal()}` };
    const response = await fetch(`${url}${path}`, { ...init, headers }).catch((error: unknown) => {
      throw new ServiceAway(`The service at ${url} does not answer. Is it running?`, { cause: error });
    });
    if (!response.ok) throw await refusal(response, url);
    return { response, url };
  };
  const send = async <T>(path: string, schema: z.ZodType<T>, init: RequestInit): Promise<T> => {
    const { response, url } = await ask(path, init);
    const answer = schema.safeParse(await response.json().catch(() => undefined));
    if (answer.success) return answer.data;
    const field = answer.error.issues[0]?.path.join('.') || 'the whole answer';
    throw new CommandError(
      `The service at ${url} answered ${path} in a form that this command does not know (${field}). Is it another version, or another service?`,
    );
  };
  const sendJson = <T>(method: 'POST' | 'PATCH', path: string, schema: z.ZodType<T>, body?: object) => {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return send(path, schema, { method, ...json });
  };
  return {
    get: (path, schema) => send(path, schema, {}),
    post: (path, schema, body) => sendJson('POST', path, schema, body),
    patch: (path, schema, body) => sendJson('PATCH', path, schema, body),
    stream: async (path, headers, signal) => {
      const { body } = (await ask(path, { headers, signal })).response;
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
