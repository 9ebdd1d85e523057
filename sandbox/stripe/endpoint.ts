import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { EMBEDDED_KINDS } from './embedded-kinds.ts';
import { StripeError } from './errors.ts';
import { expand, type Kind, parseExpand } from './expand.ts';
import { runOnce } from './idempotency.ts';
import { parseParameters } from './parse-parameters.ts';
import { requireStrict } from './strict-schema.ts';
import { transact } from './transact.ts';
import { newId } from './wire.ts';

const CARD_REFUSED = 402;

/** One API call, as the endpoints see it. */
export interface Call<Input> {
  /** The id in the path. */
  id: string;
  /** The second id in the path, of an object within the first, or empty. */
  innerId: string;
  /** The parsed parameters of the form or the query. */
  input: Input;
  /** The address at which the caller reached this sandbox, without a trailing slash. */
  baseUrl: string;
  /** How the events of this request refer to it. */
  request: { id: string; idempotency_key: string | null };
}

/** The input and output of an endpoint. `answers` is a kind of object, or `kind[]` for a list of it. */
export interface Route<P extends z.ZodRawShape> {
  answers: string;
  parameters: P;
}

/**
 * What an endpoint does. One that writes may return a card error instead of throwing it: then the refused
 * charge and its events are kept, as at Stripe.
 */
type Work<Database, P extends z.ZodRawShape> = (
  database: Database,
  call: Call<z.output<z.ZodObject<P>>>,
) => Promise<object>;

type Mount<Database> = <P extends z.ZodRawShape>(
  path: string,
  route: Route<P>,
  work: Work<Database, P>,
) => void;

export interface Endpoints {
  /** Declares the expandable fields of a kind of object. */
  declare(object: string, kind: Kind): void;
  get: Mount<SandboxDatabase>;
  post: Mount<SandboxTransaction>;
  delete: Mount<SandboxTransaction>;
}

/**
 * Creates the functions that declare the API's endpoints. They parse the call, expand the answer and run
 * writes in a transaction. An undeclared parameter gets Stripe's own error, and so does an `expand` of
 * something else.
 */
export function createEndpoints(router: Router, database: SandboxDatabase): Endpoints {
  const kinds = new Map<string, Kind>(EMBEDDED_KINDS);
  const get: Mount<SandboxDatabase> = (path, route, work) => {
    const parse = createParser(path, route, kinds);
    router.get(path, async (request, response) => {
      const { call, paths } = parse(request, response, { ...request.query, ...request.body });
      response.json(await expand(database, kinds, route.answers, await work(database, call), paths));
    });
  };
  const write =
    (method: 'post' | 'delete'): Mount<SandboxTransaction> =>
    (path, route, work) => {
      const parse = createParser(path, route, kinds);
      router[method](path, async (request, response) => {
        const query = method === 'post' ? {} : request.query;
        const { call, paths } = parse(request, response, { ...query, ...request.body });
        // The change, its events and the answer for repeats are committed together, before the response.
        const { answer, replayed } = await transact(database, toObjectIds(call), (trx) =>
          runOnce(trx, request, call.request.idempotency_key, async () => {
            const made = await work(trx, call);
            if (made instanceof StripeError) return { error: made.fields };
            return expand(trx, kinds, route.answers, made, paths);
          }),
        );
        if ('error' in answer) response.status(CARD_REFUSED);
        if (replayed) response.set('Idempotent-Replayed', 'true');
        response.json(answer);
      });
    };
  return {
    declare: (object, kind) => kinds.set(object, kind),
    get,
    post: write('post'),
    delete: write('delete'),
  };
}

/** Returns a function that reads one call: its parameters and the paths to expand. */
function createParser<P extends z.ZodRawShape>(
  path: string,
  { answers, parameters }: Route<P>,
  kinds: ReadonlyMap<string, Kind>,
) {
  const schema = z.strictObject(parameters);
  requireStrict(schema, path);
  return (request: Request, response: Response, { expand: wanted, ...given }: Record<string, unknown>) => ({
    call: toCall(request, response, parseParameters(schema, given)),
    paths: parseExpand(kinds, answers, wanted),
  });
}

/**
 * Returns the ids of objects that a call names, which decide what time it is. A path that names a test clock
 * is about the clock itself, and follows none.
 */
function toObjectIds({ id, input }: Pick<Call<object>, 'id' | 'input'>): string[] {
  const named = [id.startsWith('clock_') ? '' : id, ...Object.values(input)];
  return named.filter((value): value is string => typeof value === 'string' && /^[a-z]+_\w+$/.test(value));
}

/** Returns the address at which the caller reached this sandbox, without a trailing slash. */
export function toBaseUrl(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}`;
}

function toCall<Input>(request: Request, response: Response, input: Input): Call<Input> {
  const id = newId('req', 14);
  const idempotencyKey = request.get('idempotency-key') ?? null;
  response.set('Request-Id', id);
  if (idempotencyKey !== null) response.set('Idempotency-Key', idempotencyKey);
  return {
    id: String(request.params.id ?? ''),
    innerId: String(request.params.inner ?? ''),
    input,
    baseUrl: toBaseUrl(request),
    request: { id, idempotency_key: idempotencyKey },
  };
}
