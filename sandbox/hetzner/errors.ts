import type { ErrorRequestHandler, RequestHandler } from 'express';

/** An error answer of the Hetzner API. `code` is Hetzner's own, which client libraries act on. */
export class HetznerError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: Record<string, unknown> | null;

  constructor(status: number, code: string, message: string, details: Record<string, unknown> | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

interface Field {
  name: string;
  messages: string[];
}

/** Returns a 422 for fields that are malformed or refer to missing resources. */
export function invalidInput(fields: Field[]): HetznerError {
  const names = fields.map((field) => `'${field.name}'`).join(', ');
  const first = fields[0];
  const message =
    fields.length === 1 && first
      ? `invalid input in field ${names}: ${first.messages.join(', ')}`
      : `invalid input in fields ${names}`;
  return new HetznerError(422, 'invalid_input', message, { fields });
}

export function invalidField(name: string, message: string): HetznerError {
  return invalidInput([{ name, messages: [message] }]);
}

export function notFound(what: string): HetznerError {
  return new HetznerError(404, 'not_found', `${what} not found`);
}

export function notUnique(field: string, message: string): HetznerError {
  return new HetznerError(409, 'uniqueness_error', message, { fields: [{ name: field }] });
}

export function limitExceeded(limit: string): HetznerError {
  return new HetznerError(403, 'resource_limit_exceeded', `${limit} exceeded`, { limits: [{ name: limit }] });
}

/** Hetzner's answers for the unique constraints of the tables. */
const UNIQUE_CONSTRAINTS: Record<string, HetznerError> = {
  hetzner_ssh_keys_name: notUnique('name', 'SSH key name is already used'),
  hetzner_ssh_keys_fingerprint: notUnique('public_key', 'SSH key with the same fingerprint already exists'),
  hetzner_firewalls_name: notUnique('name', 'firewall name is already used'),
  hetzner_servers_name: notUnique('name', 'server name is already used'),
};

export const refuseUnknownPath: RequestHandler = (request) => {
  throw new HetznerError(404, 'not_found', `the sandbox does not serve ${request.method} ${request.path}`);
};

/** Answers errors as Hetzner does; mount it last. */
export const answerErrors: ErrorRequestHandler = (error, _request, response, _next) => {
  const known = toHetznerError(error);
  if (known.status === 500) console.error('sandbox, Hetzner API:', error);
  const { code, message, details } = known;
  response.status(known.status).json({ error: { code, message, details } });
};

function toHetznerError(error: unknown): HetznerError {
  if (error instanceof HetznerError) return error;
  const { type, code, constraint } = (error ?? {}) as { type?: string; code?: string; constraint?: string };
  if (type === 'entity.parse.failed')
    return new HetznerError(400, 'json_error', 'Invalid JSON in request body');
  if (type === 'entity.too.large') return new HetznerError(413, 'invalid_input', 'request body is too large');
  if (code === '23505' && constraint !== undefined && UNIQUE_CONSTRAINTS[constraint])
    return UNIQUE_CONSTRAINTS[constraint];
  return new HetznerError(500, 'server_error', 'an unexpected error occurred');
}
