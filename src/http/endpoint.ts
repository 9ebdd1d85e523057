import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { Role } from '../database/vocabulary.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { refuseForbidden } from './actor.ts';
import type { HttpDeps } from './deps.ts';
import { HttpError } from './problem.ts';

export interface Answer {
  description: string;
  schema?: z.ZodType;
  /** Default: `application/json`. */
  contentType?: string;
  headers?: z.ZodObject;
}

/** One request's validated input and dependencies. */
export interface Call<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
  request: Request;
  response: Response;
  deps: HttpDeps;
}

interface Definition<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> {
  /** Its name in the document, and in clients that are generated from it; never changes. */
  id: string;
  method: 'get' | 'post' | 'patch' | 'delete';
  /** With parameters as `{name}`, as OpenAPI writes them. */
  path: string;
  summary: string;
  /** The least role that may call it; `anyone` needs neither token nor session. */
  access: Role | 'anyone';
  /**
   * Whether a program (its token, or the header `agents-via`) may ask for this change; default: no. What it
   * may not is proposed, and a person approves it.
   */
  isForPrograms?: boolean;
  params?: P;
  query?: Q;
  headers?: z.ZodObject;
  body?: B;
  answers: Record<number, Answer>;
  handle(call: Call<z.output<P>, z.output<Q>, z.output<B>>): Promise<void> | void;
}

/** A route: its document, validation and handler in one place. */
export type Endpoint = Omit<Definition<z.ZodObject, z.ZodObject, z.ZodType>, 'handle'> & {
  run(request: Request, response: Response, deps: HttpDeps): Promise<void>;
};

/** Defines a route whose handler receives the parsed parameters, query and body. */
export function endpoint<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodUndefined,
>({ handle, ...definition }: Definition<P, Q, B>): Endpoint {
  return {
    ...definition,
    run: async (request, response, deps) => {
      const call = {
        params: readParams(definition.params, request),
        query: read(definition.query?.strict(), request.query, 'query') as z.output<Q>,
        body: read(definition.body, request.body, 'body') as z.output<B>,
      };
      await handle({ ...call, request, response, deps });
    },
  };
}

function readParams<P extends z.ZodObject>(schema: P | undefined, request: Request): z.output<P> {
  const parsed = (schema ?? z.object({})).safeParse(request.params);
  // A path parameter that is invalid matches nothing: 404.
  if (!parsed.success) throw new NotFoundError(`Not found: ${request.path.slice(0, 200)}`);
  return parsed.data as z.output<P>;
}

/** Validates one part of a request. @throws InvalidInputError naming every invalid field. */
export function read<S extends z.ZodType>(schema: S | undefined, value: unknown, part: string) {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => `${[part, ...issue.path, key].join('.')} is unknown`)
      : [`${[part, ...issue.path].join('.')} ${issue.message}`],
  );
  throw new InvalidInputError(problems.join('; ').slice(0, 1000));
}

const json = express.json({ limit: '64kb', strict: false });

const onlyJson: RequestHandler = (request, _response, next) => {
  // Without a body, let the schema say what is missing.
  const empty = request.get('content-length') === '0';
  if (!empty && request.is('application/json') === false) {
    throw new HttpError(415, 'The body must be JSON, with Content-Type: application/json');
  }
  next();
};

function refuseOthers({ access, isForPrograms }: Endpoint): RequestHandler[] {
  if (access === 'anyone') return [];
  return [
    (request, response, next) => {
      refuseForbidden(request, response, { least: access, isForPrograms });
      next();
    },
  ];
}

/** Mounts the routes in order; a known path with another method is a 405. */
export function mount(app: Express, endpoints: readonly Endpoint[], deps: HttpDeps): void {
  for (const one of endpoints) {
    const before = [...refuseOthers(one), ...(one.body === undefined ? [] : [onlyJson, json])];
    app[one.method](expressPath(one), ...before, (request, response) => one.run(request, response, deps));
  }
  for (const path of new Set(endpoints.map(expressPath))) {
    const methods = endpoints
      .filter((one) => expressPath(one) === path)
      .map((one) => one.method.toUpperCase());
    const allow = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
    app.all(path, (request) => {
      throw new HttpError(405, `${request.method} is not allowed here; use ${allow.join(', ')}`, {
        allow: allow.join(', '),
      });
    });
  }
}

function expressPath(one: Endpoint): string {
  return one.path.replace(/\{(\w+)\}/g, ':$1');
}
