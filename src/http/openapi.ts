import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { type Endpoint, endpoint } from './endpoint.ts';
import { problemSchema } from './problem.ts';

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
});

/** `GET /openapi.json`: OpenAPI 3.1, made from the very schemas that validate. */
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
    ...(one.access === 'operator' ? { security: [{ apiToken: [] }] } : {}),
    requestParams: {
      ...(one.params ? { path: one.params } : {}),
      ...(one.query ? { query: one.query } : {}),
      ...(one.headers ? { header: one.headers } : {}),
    },
    ...(one.body
      ? { requestBody: { required: true, content: { 'application/json': { schema: one.body } } } }
      : {}),
    responses: { ...Object.fromEntries(answers), ...refusals(one) },
  };
}

function refusals(one: Endpoint) {
  return {
    ...(one.query || one.body || one.headers ? { 400: problem('What was sent is not valid') } : {}),
    ...(one.access === 'operator' ? { 401: problem('The operator’s token is needed') } : {}),
    ...(one.params ? { 404: problem('There is no such thing') } : {}),
    ...(one.body
      ? {
          409: problem('The id was used before'),
          422: problem('The Idempotency-Key was used for something else'),
        }
      : {}),
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
      description: 'The signature is missing, wrong or too old, or the body is no event; nothing was stored',
      content: { 'application/json': { schema: z.object({ error: z.string() }) } },
    },
    503: {
      description: 'The database is unavailable; nothing was stored',
      content: { 'application/json': { schema: z.object({ error: z.string() }) } },
    },
  },
};
