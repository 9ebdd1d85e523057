import express, { type Request, type Response } from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { poolBehind, type SandboxDatabase } from '../database.ts';
import type { SandboxTokens } from '../tokens.ts';
import type { ControlServer, Device, DeviceChange } from './control-server.ts';
import { type Caller, createOauthRoute, requireCredential } from './credentials.ts';
import { matchesFilters, toDevice } from './device-json.ts';
import { answerError, parseBody, TailscaleError, unknownRoute } from './errors.ts';
import { tailnetDomain, tailnetNames } from './identity.ts';
import { keyRequestSchema, tagSchema } from './key-request.ts';
import { createKey, listKeys, revokeKey, showKey } from './keys.ts';
import { type Policy, readPolicy, validatePolicy, writePolicy } from './policy.ts';
import { policyJson } from './policy-text.ts';
import { requirePermittedTags } from './tag-owners.ts';

/**
 * Tailscale's API, version 2, as far as keys, devices and the policy file go; to be mounted at `/tailscale`.
 * Source: https://tailscale.com/api
 */
export function createTailscaleRouter({
  database,
  tokens,
  control,
}: {
  database: SandboxDatabase;
  tokens: SandboxTokens;
  control: ControlServer;
}): express.Router {
  const pool = poolBehind(database);
  const api = express.Router();
  api.use(createOauthRoute(pool, tokens));
  api.use(requireCredential(pool, tokens));
  api.param('tailnet', (_request, _response, next, name: string) => {
    next(tailnetNames.includes(name) ? undefined : new TailscaleError(404, 'tailnet not found'));
  });
  mountPolicy(api, pool, control);
  api.use(express.json());
  mountKeys(api, pool, control);
  mountDevices(api, pool, control);

  const router = express.Router();
  router.use('/api/v2', api, unknownRoute, answerError);
  return router;
}

function mountKeys(api: express.Router, pool: pg.Pool, control: ControlServer): void {
  api.get('/tailnet/:tailnet/keys', async (request, response) => {
    const all = request.query.all === 'true';
    response.json({ keys: await listKeys(pool, control, caller(response), all) });
  });
  api.post('/tailnet/:tailnet/keys', async (request, response) => {
    const wanted = parseBody(keyRequestSchema, request.body);
    response.json(await createKey(pool, control, wanted, caller(response)));
  });
  api.get('/tailnet/:tailnet/keys/:id', async (request, response) => {
    response.json(await showKey(pool, control, request.params.id));
  });
  api.delete('/tailnet/:tailnet/keys/:id', async (request, response) => {
    await revokeKey(pool, control, request.params.id);
    response.status(200).end();
  });
}

function mountDevices(api: express.Router, pool: pg.Pool, control: ControlServer): void {
  api.get('/tailnet/:tailnet/devices', async (request, response) => {
    const fields = fieldsOf(request);
    const filters = filtersOf(request);
    const devices = (await control.listDevices()).map((device) => toDevice(device, fields));
    response.json({ devices: devices.filter((device) => matchesFilters(device, filters)) });
  });
  api.get('/device/:id', async (request, response) => {
    response.json(toDevice(await findDevice(control, request.params.id), fieldsOf(request)));
  });
  api.delete('/device/:id', async (request, response) => {
    const { id } = await findDevice(control, request.params.id);
    if (!(await control.deleteDevice(id))) throw noSuchDevice();
    response.status(200).end();
  });
  const changes: [string, z.ZodType<DeviceChange>][] = [
    ['authorized', z.object({ authorized: z.boolean() })],
    ['tags', z.object({ tags: z.array(tagSchema) })],
    ['key', z.object({ keyExpiryDisabled: z.boolean() })],
    ['name', nameSchema],
  ];
  for (const [what, schema] of changes) {
    api.post(`/device/:id/${what}`, async (request, response) => {
      const change = parseBody(schema, request.body);
      const { id } = await findDevice(control, String(request.params.id));
      if (change.tags !== undefined)
        requirePermittedTags((await readPolicy(pool, control)).text, change.tags, caller(response));
      if (!(await control.changeDevice(id, change))) throw noSuchDevice();
      response.json({});
    });
  }
}

/** A name comes alone or with the tailnet's domain behind it. */
const nameSchema = z.object({
  name: z
    .string()
    .transform((name) =>
      name.endsWith(`.${tailnetDomain}`) ? name.slice(0, -tailnetDomain.length - 1) : name,
    )
    .pipe(z.string().regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/i, 'invalid device name')),
});

function mountPolicy(api: express.Router, pool: pg.Pool, control: ControlServer): void {
  api.get('/tailnet/:tailnet/acl', async (request, response) => {
    sendPolicy(request, response, await readPolicy(pool, control));
  });
  const anyText = express.text({ type: () => true, limit: '1mb' });
  api.post('/tailnet/:tailnet/acl', anyText, async (request, response) => {
    const text = typeof request.body === 'string' ? request.body : '';
    sendPolicy(request, response, await writePolicy(pool, control, text, request.get('if-match')));
  });
  // Failed tests are the answer to the question, not an error of the call.
  api.post('/tailnet/:tailnet/acl/validate', anyText, async (request, response) => {
    const text = typeof request.body === 'string' ? request.body : '';
    const data = await validatePolicy(pool, control, text);
    response.json(data.length === 0 ? {} : { message: 'test(s) failed', data });
  });
}

function sendPolicy(request: Request, response: Response, policy: Policy): void {
  response.set('ETag', policy.etag);
  if (request.accepts(['application/hujson', 'application/json']) === 'application/json')
    response.json(policyJson(policy.text));
  else response.type('application/hujson').send(policy.text);
}

/** Finds by `nodeId` or by the older numeric `id`. */
async function findDevice(control: ControlServer, idOrNodeId: string): Promise<Device> {
  const devices = await control.listDevices();
  const found = devices.find(({ id, nodeId }) => id === idOrNodeId || nodeId === idOrNodeId);
  if (found === undefined) throw noSuchDevice();
  return found;
}

const noSuchDevice = () => new TailscaleError(404, 'no such device');

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
