import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Decline } from './test-cards.ts';

interface StripeErrorFields {
  type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  message: string;
  code?: string;
  decline_code?: string;
  param?: string;
  charge?: string;
}

/** An error answer in Stripe's form `{"error": {type, code, message, param}}`. */
export class StripeError extends Error {
  readonly status: number;
  readonly fields: StripeErrorFields;

  constructor(status: number, fields: StripeErrorFields) {
    super(fields.message);
    this.status = status;
    this.fields = fields;
  }
}

/** Returns a 400 with Stripe's message, code and parameter name. */
export function invalidRequest(message: string, rest: { code?: string; param?: string } = {}): StripeError {
  return new StripeError(400, { type: 'invalid_request_error', message, ...rest });
}

/** Returns a 402 for a card that refuses, with the id of the refused charge if there is one. */
export function cardDeclined({ code, decline_code, message }: Decline, charge?: string): StripeError {
  return new StripeError(402, {
    type: 'card_error',
    message,
    code,
    ...(decline_code !== null && { decline_code }),
    ...(charge !== undefined && { charge }),
  });
}

/** `status` is 404 if the path names the missing object, 400 if a parameter does. */
export function resourceMissing(object: string, id: string, param = 'id', status = 404): StripeError {
  return new StripeError(status, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such ${object}: '${id}'`,
    param,
  });
}

export const refuseUnknownPath: RequestHandler = (request) => {
  throw new StripeError(404, {
    type: 'invalid_request_error',
    message: `Unrecognized request URL (${request.method}: ${request.originalUrl.split('?')[0]}).`,
  });
};

export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof StripeError) {
    response.status(error.status).json({ error: error.fields });
  } else if (typeof error?.status === 'number' && error.status < 500) {
    // Rejected by the body parser: too large, badly encoded or too deeply nested.
    const fields: StripeErrorFields = { type: 'invalid_request_error', message: String(error.message) };
    response.status(error.status).json({ error: fields });
  } else {
    console.error(`sandbox stripe: ${error?.message ?? error}`);
    const fields: StripeErrorFields = { type: 'api_error', message: 'The sandbox failed; its log says why.' };
    response.status(500).json({ error: fields });
  }
};
