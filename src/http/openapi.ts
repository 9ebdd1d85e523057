import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { SESSION_COOKIE } from './authentication.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { problem, refusals } from './refusals.ts';
import { SIGNED_PATHS } from './signed-routes.ts';

/** The document, OpenAPI 3.1, generated from the schemas that validate, and its route `GET /openapi.json`. */
export function describe(endpoints: readonly Endpoint[]) {
  const self = endpoint({
    id: 'document',
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
    servers: [{ url: '/' }],
    paths: paths([...endpoints, self]),
    components: {
      securitySchemes: {
        apiToken: {
          type: 'http',
          scheme: 'bearer',
          description: 'A person’s token, or one of the environment (API_TOKEN)',
        },
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
  return { route: self, document };
}

function paths(endpoints: readonly Endpoint[]): ZodOpenApiPathsObject {
  // Who signs the body needs no role.
  const result: ZodOpenApiPathsObject = Object.fromEntries(
    Object.entries(SIGNED_PATHS).map(([path, { post }]) => [
      path,
      { post: { ...post!, 'x-least-role': 'signature' } },
    ]),
  );
  for (const one of endpoints) result[one.path] = { ...result[one.path], [one.method]: operation(one) };
  return result;
}

function operation(one: Endpoint): ZodOpenApiOperationObject {
  const answers = Object.entries(one.answers).map(
    ([status, { description, schema, contentType = 'application/json', headers }]) => [
      status,
      schema === undefined
        ? problem(description, headers)
        : { description, ...(headers && { headers }), content: { [contentType]: { schema } } },
    ],
  );
  return {
    operationId: one.id,
    tags: [tagOf(one)],
    summary: one.summary,
    'x-least-role': one.access,
    ...(one.access !== 'anyone' ? { security: [{ apiToken: [] }, { session: [] }] } : {}),
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

/** `/api/agents/{agentId}/holds` belongs to `Agents`; what is no part of the API to `Service`. */
function tagOf({ path }: Endpoint): string {
  const name = /^\/api\/(\w+)/.exec(path)?.[1] ?? 'service';
  return name.charAt(0).toUpperCase() + name.slice(1);
}
