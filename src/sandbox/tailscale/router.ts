import express, { type Request, type Response } from 'express';
import type pg from 'pg';
import { z } from 'zod';
import type { SandboxTokens } from '../tokens.ts';
import { type Caller, createOauthRoute, requireCredential } from './credentials.ts';
import { matchesFilters, toDevice } from './device-json.ts';
import { changeDevice, type DeviceChange, deleteDevice, findDevice, listDevices } from './devices.ts';
import { answerError, parseBody, TailscaleError, unknownRoute } from './errors.ts';
import { tailnetNames } from './identity.ts';
import { createKey, findKey, keyRequestSchema, listKeys, revokeKey, tagSchema, toKey } from './keys.ts';
import { type Policy, policyJson, readPolicy, writePolicy } from './policy.ts';

/**
 * Tailscale's API, version 2, as far as keys, devices and the policy file go; to be mounted at `/tailscale`.
 * Source: https://tailscale.com/api
 */
export function createTailscaleRouter({
  pool,
  tokens,
}: {
  pool: pg.Pool;
  tokens: SandboxTokens;
}): express.Router {
  const api = express.Router();
  api.use(createOauthRoute(pool, tokens));
  api.use(requireCredential(pool, tokens));
  api.param('tailnet', (_request, _response, next, name: string) => {
    next(tailnetNames.includes(name) ? undefined : new TailscaleError(404, 'tailnet not found'));
  });
  mountPolicy(api, pool);
  api.use(express.json());
  mountKeys(api, pool);
  mountDevices(api, pool);

  const router = express.Router();
  router.use('/api/v2', api, unknownRoute, answerError);
  return router;
}

function mountKeys(api: express.Router, pool: pg.Pool): void {
  api.get('/tailnet/:tailnet/keys', async (request, response) => {
    response.json({ keys: await listKeys(pool, caller(response), request.query.all === 'true') });
  });
  api.post('/tailnet/:tailnet/keys', async (request, response) => {
    response.json(await createKey(pool, parseBody(keyRequestSchema, request.body), caller(response)));
  });
  api.get('/tailnet/:tailnet/keys/:id', async (request, response) => {
    response.json(toKey(await findKey(pool, request.params.id)));
  });
  api.delete('/tailnet/:tailnet/keys/:id', async (request, response) => {
    await revokeKey(pool, request.params.id);
    response.status(200).end();
  });
}

function mountDevices(api: express.Router, pool: pg.Pool): void {
  api.get('/tailnet/:tailnet/devices', async (request, response) => {
    const fields = fieldsOf(request);
    const filters = filtersOf(request);
    const devices = (await listDevices(pool)).map((row) => toDevice(row, fields));
    response.json({ devices: devices.filter((device) => matchesFilters(device, filters)) });
  });
  api.get('/device/:id', async (request, response) => {
    response.json(toDevice(await findDevice(pool, request.params.id), fieldsOf(request)));
  });
  api.delete('/device/:id', async (request, response) => {
    await deleteDevice(pool, request.params.id);
    response.status(200).end();
  });
  const changes: [string, z.ZodType<DeviceChange>][] = [
    ['authorized', z.object({ authorized: z.boolean() })],
    ['tags', z.object({ tags: z.array(tagSchema) })],
    ['key', z.object({ keyExpiryDisabled: z.boolean() })],
  ];
  for (const [what, schema] of changes) {
    api.post(`/device/:id/${what}`, async (request, response) => {
      await changeDevice(pool, String(request.params.id), parseBody(schema, request.body));
      response.json({});
    });
  }
}

function mountPolicy(api: express.Router, pool: pg.Pool): void {
  api.get('/tailnet/:tailnet/acl', async (request, response) => {
    sendPolicy(request, response, await readPolicy(pool));
  });
  const anyText = express.text({ type: () => true, limit: '1mb' });
  api.post('/tailnet/:tailnet/acl', anyText, async (request, response) => {
    const text = typeof request.body === 'string' ? request.body : '';
    sendPolicy(request, response, await writePolicy(pool, text, request.get('if-match')));
  });
}

function sendPolicy(request: Request, response: Response, policy: Policy): void {
  response.set('ETag', policy.etag);
  if (request.accepts(['application/hujson', 'application/json']) === 'application/json')
    response.json(policyJson(policy.text));
  else response.type('application/hujson').send(policy.text);
}

function fieldsOf(request: Request): 'default' | 'all' {
  const fields = request.query.fields ?? 'default';
  if (fields === 'default' || fields === 'all') return fields;
  throw new TailscaleError(400, 'fields must be "default" or "all"');
}

function filtersOf(request: Request): [string, string[]][] {
  const { searchParams } = new URL(request.url, 'http://sandbox');
  const names = new Set(searchParams.keys());
  names.delete('fields');
  return [...names].map((name) => [name, searchParams.getAll(name)]);
}

function caller(response: Response): Caller {
  return response.locals.caller;
}
