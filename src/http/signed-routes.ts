import { z } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi';

const error = z.object({ error: z.string() });
const refusal = (description: string) => ({
  description,
  content: { 'application/json': { schema: error } },
});
const received = {
  description: 'It is committed',
  content: { 'application/json': { schema: z.object({ received: z.literal(true) }) } },
};
const unavailable = refusal('The database is unavailable; nothing was stored');
const notPost = refusal('Only POST is allowed');
const failed = refusal('Internal error; see the log');

const stripe: ZodOpenApiOperationObject = {
  operationId: 'receiveStripeEvent',
  tags: ['Signed'],
  summary: 'Where Stripe delivers its events',
  requestParams: { header: z.object({ 'stripe-signature': z.string() }) },
  requestBody: {
    required: true,
    content: { 'application/json': { schema: z.looseObject({ id: z.string(), type: z.string() }) } },
  },
  responses: {
    200: received,
    400: refusal(
      'The signature is missing, wrong or too old, or the body is not an event; nothing was stored',
    ),
    405: notPost,
    413: refusal('The body is larger than 512 KiB'),
    415: refusal('The body is encoded; it must be sent as it was signed'),
    500: failed,
    503: unavailable,
  },
};

const runner = (operationId: string, summary: string, answer: z.ZodType): ZodOpenApiOperationObject => ({
  operationId,
  tags: ['Signed'],
  summary,
  requestParams: {
    header: z.object({ 'x-signature': z.string().meta({ description: 'Hex HMAC-SHA256 of the raw body' }) }),
    query: z.object({ token: z.string().optional().meta({ description: 'Names the attempt' }) }),
  },
  requestBody: {
    required: true,
    content: { 'application/json': { schema: z.looseObject({ job_id: z.guid() }) } },
  },
  responses: {
    200: { description: 'Done', content: { 'application/json': { schema: answer } } },
    400: refusal('It is signed, and not a message of this kind'),
    401: refusal('The signature is missing or wrong'),
    404: refusal('There is no such operation'),
    405: notPost,
    409: refusal('It comes from an earlier attempt, or would move what has finished'),
    413: refusal('The signed body is larger than 1 MiB'),
    500: failed,
    503: unavailable,
  },
});

/** Routes whose senders sign the body. Their errors are `{error}`. */
export const SIGNED_PATHS: ZodOpenApiPathsObject = {
  '/api/webhooks/stripe': { post: stripe },
  '/api/webhooks/github': {
    post: runner('receiveRunnerReport', 'Where a runner reports', z.object({ received: z.literal(true) })),
  },
  '/api/runner/claim': {
    post: runner('claimWork', 'Hands a runner its work', z.looseObject({ kind: z.string() })),
  },
  '/api/runner/record': { post: runner('recordWork', 'Takes a runner’s records', z.unknown()) },
};
