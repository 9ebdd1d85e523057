import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { problemSchema } from './problem-json.ts';

/** An answer as the document describes it. */
export interface DocumentedAnswer {
  /** Its name among the shared answers of the document. */
  id?: string;
  description: string;
  headers?: z.ZodObject;
  content: Record<string, { schema: z.ZodType }>;
}

export const problem = (description: string, headers?: z.ZodObject, id?: string): DocumentedAnswer => ({
  ...(id !== undefined && { id }),
  description,
  ...(headers && { headers }),
  content: { 'application/problem+json': { schema: problemSchema } },
});

const seconds = z.string().regex(/^\d+$/).meta({ description: 'In how many seconds to try again' });

/** Headers of the IETF's draft. Only answers to a wrong token have them: nothing else is counted. */
const rateLimit = {
  RateLimit: z.string().optional().meta({
    description: 'After a wrong token: `r`, how many more are allowed, and `t`, until when in seconds',
  }),
  'RateLimit-Policy': z
    .string()
    .optional()
    .meta({ description: 'After a wrong token: `q` of them are allowed in `w` seconds from one address' }),
};

const wrongToken = z.object({ 'WWW-Authenticate': z.string(), ...rateLimit });
const tooMany = z.object({ 'Retry-After': seconds, ...rateLimit });
const allow = z.object({ Allow: z.string().meta({ description: 'The methods that are allowed' }) });
export const retryAfter = z.object({ 'Retry-After': seconds });

/** Answers that several routes share, so that the document has each once. */
const SHARED = {
  400: problem('The request, or something in it, is not valid', undefined, 'InvalidRequest'),
  401: problem('The operator’s token is required', wrongToken, 'TokenRequired'),
  404: problem('Not found', undefined, 'NotFound'),
  405: problem('Method not allowed', allow, 'MethodNotAllowed'),
  413: problem('The body is larger than 64 KiB', undefined, 'BodyTooLarge'),
  415: problem('The body is not JSON', undefined, 'NotJson'),
  421: problem('Sandbox mode: the request is for a host other than this machine', undefined, 'OtherHost'),
  429: problem('Too many wrong tokens from this address', tooMany, 'TooManyWrongTokens'),
  500: problem('Internal error; see the log', undefined, 'Internal'),
  503: problem('The database is unavailable, or the service is starting', retryAfter, 'Unavailable'),
};
const TOO_MANY = problem(
  'Too many wrong tokens from this address, or too many operations within an hour that programs asked for',
  tooMany,
  'TooMany',
);
const OTHER_ROLE = problem('The role does not allow it', undefined, 'OtherRole');
const NOT_ALLOWED = 'The role does not allow it, or a cookie alone came from another site';
const FORBIDDEN = problem(NOT_ALLOWED, undefined, 'Forbidden');
const APPROVAL_REQUIRED = problem(
  `${NOT_ALLOWED}, or a program asks, which may only propose this or leave it to a person`,
  undefined,
  'ForbiddenOrApprovalRequired',
);

/** Answers that any route, or any route of this kind, may give besides its own. */
export function refusals(one: Endpoint): Record<number, DocumentedAnswer> {
  const {
    400: invalid,
    401: tokenRequired,
    404: notFound,
    429: tooManyWrong,
    413: tooLarge,
    415: notJson,
  } = SHARED;
  const known = one.access !== 'anyone';
  return {
    400: invalid,
    ...(known ? { 401: tokenRequired, 429: one.isForPrograms === true ? TOO_MANY : tooManyWrong } : {}),
    ...forbidden(one),
    ...(one.params ? { 404: notFound } : {}),
    ...(one.body ? { 413: tooLarge, 415: notJson } : {}),
    405: SHARED[405],
    421: SHARED[421],
    500: SHARED[500],
    503: SHARED[503],
  };
}

function forbidden({ access, method, isForPrograms }: Endpoint): Record<number, DocumentedAnswer> {
  if (access === 'anyone' || (access === 'viewer' && method === 'get')) return {};
  if (method === 'get') return { 403: OTHER_ROLE };
  return { 403: isForPrograms === true ? FORBIDDEN : APPROVAL_REQUIRED };
}
