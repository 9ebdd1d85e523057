/** What a problem means, for its page and for the documentation. */
interface ProblemType {
  status: number;
  /** One line, for people. */
  title: string;
  /** When it is answered. */
  when: string;
  /** What the caller does about it. */
  cure: string;
}

/**
 * Every kind of problem that the API answers. A name never changes its meaning: clients rely on
 * `/problems/<name>`.
 */
export const PROBLEMS = {
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    when: 'A field of the path, the query, a header or the body is missing, malformed or unknown, or the request itself is malformed.',
    cure: 'Mend the fields that `detail` names. The same request is refused again.',
  },
  'token-required': {
    status: 401,
    title: 'A token is required',
    when: 'The request carries no token and no open session, or one that is wrong, has expired or was revoked.',
    cure: 'Send `Authorization: Bearer TOKEN`, or sign in.',
  },
  'other-site': {
    status: 403,
    title: 'The request may come from another site',
    when: 'A request that changes something came with the cookie of a session, and not from one of this service’s own pages.',
    cure: 'Send the token instead of the cookie.',
  },
  'role-not-allowed': {
    status: 403,
    title: 'This role may not do that',
    when: 'What was asked for needs another role than that of the token or session, or is left to a person on the page. `detail` names the role.',
    cure: 'Ask somebody who may, or an admin for another role.',
  },
  'approval-required': {
    status: 403,
    title: 'A person has to approve this',
    when: 'A program asked for something that loses data, takes an agent from its customer, costs money or is a person’s to decide.',
    cure: 'Propose a stop, rebuild, hibernate or destroy with `POST /api/proposals`; a person approves or rejects it under Attention. Leave anything else to a person.',
  },
  'not-found': {
    status: 404,
    title: 'There is no such thing',
    when: 'Nothing is at this address, or the agent, operation or receipt does not exist.',
    cure: 'Check the address and the id.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is not allowed here',
    when: 'The address exists, with other methods.',
    cure: 'Use one of those in the header `Allow`.',
  },
  conflict: {
    status: 409,
    title: 'The present state does not allow it',
    when: 'The status of the agent or operation, a hold, its protection, or something unfinished stands against it.',
    cure: 'Read `detail`, wait or change the state, and ask again.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    when: 'The body has more bytes than the route reads.',
    cure: 'Send less.',
  },
  'not-json': {
    status: 415,
    title: 'The body is not JSON',
    when: 'The body has another media type, character set or encoding than JSON in UTF-8.',
    cure: 'Send JSON with `Content-Type: application/json`.',
  },
  'other-host': {
    status: 421,
    title: 'Another host was asked for',
    when: 'Sandbox mode: the request is for a host name other than this machine’s.',
    cure: 'Use the address that the service printed at its start.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'The Idempotency-Key was used before',
    when: 'An earlier request with the same `Idempotency-Key` had another body.',
    cure: 'Use a new key for a new request.',
  },
  'too-many-wrong-tokens': {
    status: 429,
    title: 'Too many wrong tokens',
    when: 'More than ten wrong tokens came from this address within a minute. Right ones are still served.',
    cure: 'Mend the token; try again after the seconds in `Retry-After`.',
  },
  'too-many-by-programs': {
    status: 429,
    title: 'Programs ask for too much',
    when: 'All programs together have asked for 60 operations within an hour.',
    cure: 'Try again after the seconds in `Retry-After`. People are not limited: they do it on the page.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    when: 'The service failed in a way that it does not know. Its log has the cause.',
    cure: 'Look at the log. A repeated request may succeed.',
  },
  unavailable: {
    status: 503,
    title: 'Not available at the moment',
    when: 'The database is away, the service is starting, or it is not ready.',
    cure: 'Try again after the seconds in `Retry-After`.',
  },
} as const satisfies Record<string, ProblemType>;

export type ProblemName = keyof typeof PROBLEMS;

export const PROBLEM_NAMES = Object.keys(PROBLEMS) as [ProblemName, ...ProblemName[]];

/** What a status stands for where nothing more exact is known. */
export function problemNameFor(status: number): ProblemName {
  if (status === 403) return 'other-site';
  const found = PROBLEM_NAMES.find((name) => PROBLEMS[name].status === status);
  return found ?? (status >= 500 ? 'internal' : 'invalid-request');
}

/** The `type` of a problem, relative to the service's own address; its page explains it. */
export function problemType(name: ProblemName): `/problems/${ProblemName}` {
  return `/problems/${name}`;
}
