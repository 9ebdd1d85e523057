import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { SESSION_COOKIE } from './authentication.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { problemSchema } from './problem.ts';

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
});

/** `GET /openapi.json`: OpenAPI 3.1, generated from the schemas that validate. */
export function describe(endpoints: readonly Endpoint[]): Endpoint {
  const self = endpoint({
    method: 'get',
    path: '/openapi.json',
    summary: 'This document',
    access: 'anyone',
    answers: { 200: { description: 'OpenAPI 3.1', schema: z.record(z.string(), z.unknown()) } },
    handle: ({ response }) => {
      response.json(document);
    },
  });
  const document = createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Agent stacks',
      version: '1',
      description: 'From a payment to a running, private, configured server, and back.',
    },
    paths: paths([...endpoints, self]),
    components: {
      securitySchemes: {
        apiToken: { type: 'http', scheme: 'bearer', description: 'The operator’s token (API_TOKEN)' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: SESSION_COOKIE,
          description:
            'The session that the sign-in page exchanges the token for; changing requests must come from this service’s pages',
        },
      },
    },
  });
  return self;
}

function paths(endpoints: readonly Endpoint[]): ZodOpenApiPathsObject {
  const result: ZodOpenApiPathsObject = { '/api/webhooks/stripe': { post: stripeWebhook } };
  for (const one of endpoints) result[one.path] = { ...result[one.path], [one.method]: operation(one) };
  return result;
}

function operation(one: Endpoint): ZodOpenApiOperationObject {
  const answers = Object.entries(one.answers).map(([status, { description, schema, contentType }]) => [
    status,
    schema === undefined
      ? problem(description)
      : { description, content: { [contentType ?? 'application/json']: { schema } } },
  ]);
  return {
    summary: one.summary,
    ...(one.access === 'operator' ? { security: [{ apiToken: [] }, { session: [] }] } : {}),
    requestParams: {
      ...(one.params ? { path: one.params } : {}),
      ...(one.query ? { query: one.query } : {}),
      ...(one.headers ? { header: one.headers } : {}),
    },
    ...(one.body
      ? {
          requestBody: {
            required: !one.body.safeParse(undefined).success,
            content: { 'application/json': { schema: one.body } },
          },
        }
      : {}),
    responses: { ...refusals(one), ...Object.fromEntries(answers) },
  };
}

/** Answers that any route, or any route of this kind, may give besides its own. */
function refusals(one: Endpoint) {
  const operator = one.access === 'operator';
  return {
    ...(one.query || one.body || one.headers ? { 400: problem('The input is not valid') } : {}),
    ...(operator ? { 401: problem('The operator’s token is required') } : {}),
    ...(operator && one.method !== 'get'
      ? { 403: problem('Authenticated by cookie alone, but not from one of this service’s pages') }
      : {}),
    ...(one.params ? { 404: problem('Not found') } : {}),
    405: problem('Method not allowed; see `Allow`'),
    ...(one.body
      ? { 413: problem('The body is larger than 64 KiB'), 415: problem('The body is not JSON') }
      : {}),
    421: problem('Sandbox mode: the request is for a host other than this machine'),
    ...(operator ? { 429: problem('Too many wrong tokens from this address') } : {}),
    500: problem('Internal error; see the log'),
    ...(operator ? { 503: problem('The database is unavailable') } : {}),
  };
}

const stripeWebhook: ZodOpenApiOperationObject = {
  summary: 'Where Stripe delivers its events',
  requestParams: { header: z.object({ 'stripe-signature': z.string() }) },
  requestBody: {
    required: true,
    content: { 'application/json': { schema: z.looseObject({ id: z.string(), type: z.string() }) } },
  },
  responses: {
    200: {
      description: 'The event is committed',
      content: { 'application/json': { schema: z.object({ received: z.literal(true) }) } },
    },
    400: {
      description:
        'The signature is missing, wrong or too old, or the body is not an event; nothing was stored',
      content: { 'application/json': { schema: z.object({ error: z.string() }) } },
    },
    503: {
      description: 'The database is unavailable; nothing was stored',
      content: { 'application/json': { schema: z.object({ error: z.string() }) } },
    },
  },
};
