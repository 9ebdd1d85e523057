import { type ApiClient, createApiClient } from '../../client/client.ts';
import { problemSchema } from '../http/problem-json.ts';
import { findAnswerSchema } from './answers.ts';
import { type Connection, MalformedAnswer, RefusedError, ServiceAway } from './connection.ts';

/** Replaced by the service's address when a request is sent. */
const NO_ADDRESS = 'http://service.invalid';

/**
 * The generated client, for the running service. It looks the connection up at every request: a restarted
 * service may listen on another port. Its calls throw instead of answering with an error.
 * `via`: the program that acts for the operator, for the audit log.
 * @throws ServiceAway, RefusedError, MalformedAnswer from every call
 */
export function createClient(connect: () => Promise<Connection>, { via }: { via?: string } = {}): ApiClient {
  const api = createApiClient({
    url: NO_ADDRESS,
    token: 'unknown',
    headers: via === undefined ? {} : { 'agents-via': via },
    fetch: (request) => send(request, connect),
  });
  api.use({
    onResponse: async ({ response, request, schemaPath }) => {
      const url = response.headers.get(ADDRESS)!;
      if (!response.ok) throw await refusal(response, url);
      const schema = findAnswerSchema(request.method, schemaPath);
      const answer = schema?.safeParse(
        await response
          .clone()
          .json()
          .catch(() => undefined),
      );
      if (answer?.success === false) throw new MalformedAnswer(url, schemaPath, answer.error);
    },
  });
  return api;
}

/** Says in an answer which service gave it; set here, after the connection. */
const ADDRESS = 'x-answered-by';

async function send(request: Request, connect: () => Promise<Connection>): Promise<Response> {
  const { url, apiToken } = await connect();
  const headers = new Headers(request.headers);
  headers.set('authorization', `Bearer ${apiToken.reveal()}`);
  const target = request.url.replace(NO_ADDRESS, url);
  const { method, signal } = request;
  const body = request.body === null ? null : await request.text();
  const response = await fetch(target, { method, headers, body, signal }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new ServiceAway(`The service at ${url} does not answer. Is it running?`, { cause: error });
  });
  const { status, statusText } = response;
  const answered = new Response(response.body, { status, statusText, headers: response.headers });
  answered.headers.set(ADDRESS, url);
  return answered;
}

async function refusal(response: Response, url: string): Promise<RefusedError | ServiceAway> {
  const found = problemSchema.safeParse(await response.json().catch(() => undefined));
  const problem = found.success ? found.data : undefined;
  if (response.status === 401)
    return new RefusedError(`The service at ${url} rejected the token (API_TOKEN)`, problem);
  const message = problem?.detail ?? `The service at ${url} answered ${response.status}`;
  return response.status >= 500 ? new ServiceAway(message) : new RefusedError(message, problem);
}
