import express, { type Request, type Response } from 'express';
import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import type { SandboxTokens } from '../tokens.ts';
import type { ControlServer, Device, DeviceChange } from './control-server.ts';
import { type Caller, createOauthRoute, requireCredential } from './credentials.ts';
import { matchesFilters, toDevice } from './device-json.ts';
import { answerError, parseBody, refuseUnknownPath, TailscaleError } from './errors.ts';
import { TAILNET_DOMAIN, TAILNET_NAMES } from './identity.ts';
import { keyRequestSchema, tagSchema } from './key-request.ts';
import { createKey, listKeys, revokeKey, showKey } from './keys.ts';
import { type Policy, readPolicy, validatePolicy, writePolicy } from './policy.ts';
import { parsePolicyText } from './policy-text.ts';
import { requireScope } from './scopes.ts';
import { requirePermittedTags } from './tag-owners.ts';

interface TailscaleDeps {
  database: SandboxDatabase;
  tokens: SandboxTokens;
  control: ControlServer;
}

/**
 * Creates the part of Tailscale's API, version 2, for keys, devices and the policy file. Mount at
 * `/tailscale`.
 * Source: https://tailscale.com/api
 */
export function createTailscaleRouter({ database, tokens, control }: TailscaleDeps): express.Router {
  const api = express.Router();
  api.use(createOauthRoute(database, tokens));
  api.use(requireCredential(database, tokens));
  api.use(requireScope);
  api.param('tailnet', (_request, _response, next, name: string) => {
    next(TAILNET_NAMES.includes(name) ? undefined : new TailscaleError(404, 'tailnet not found'));
  });
  mountPolicy(api, database, control);
  api.use(express.json());
  mountKeys(api, database, control);
  mountDevices(api, database, control);

  const router = express.Router();
  router.use('/api/v2', api, refuseUnknownPath, answerError);
  return router;
}

function mountKeys(api: express.Router, database: SandboxDatabase, control: ControlServer): void {
  api.get('/tailnet/:tailnet/keys', async (request, response) => {
    const all = request.query.all === 'true';
    response.json({ keys: await listKeys(database, control, caller(response), all) });
  });
  api.post('/tailnet/:tailnet/keys', async (request, response) => {
    const wanted = parseBody(keyRequestSchema, request.body);
    response.json(await createKey(database, control, wanted, caller(response)));
  });
  api.get('/tailnet/:tailnet/keys/:id', async (request, response) => {
    response.json(await showKey(database, control, request.params.id));
  });
  api.delete('/tailnet/:tailnet/keys/:id', async (request, response) => {
    await revokeKey(database, control, request.params.id);
    response.status(200).end();
  });
}

function mountDevices(api: express.Router, database: SandboxDatabase, control: ControlServer): void {
  api.get('/tailnet/:tailnet/devices', async (request, response) => {
    const fields = parseFields(request);
    const filters = parseFilters(request);
    const devices = (await control.listDevices()).map((device) => toDevice(device, fields));
    response.json({ devices: devices.filter((device) => matchesFilters(device, filters)) });
  });
  api.get('/device/:id', async (request, response) => {
    response.json(toDevice(await findDevice(control, request.params.id), parseFields(request)));
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
        requirePermittedTags((await readPolicy(database, control)).text, change.tags, caller(response));
      if (!(await control.changeDevice(id, change))) throw noSuchDevice();
      response.json({});
    });
  }
}

/** A name, with or without the tailnet's domain. */
const nameSchema = z.object({
  name: z
    .string()
    .transform((name) =>
      name.endsWith(`.${TAILNET_DOMAIN}`) ? name.slice(0, -TAILNET_DOMAIN.length - 1) : name,
    )
    .pipe(z.string().regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/i, 'invalid device name')),
});

function mountPolicy(api: express.Router, database: SandboxDatabase, control: ControlServer): void {
  api.get('/tailnet/:tailnet/acl', async (request, response) => {
    sendPolicy(request, response, await readPolicy(database, control));
  });
  const anyText = express.text({ type: () => true, limit: '1mb' });
  api.post('/tailnet/:tailnet/acl', anyText, async (request, response) => {
    const text = typeof request.body === 'string' ? request.body : '';
    sendPolicy(request, response, await writePolicy(database, control, text, request.get('if-match')));
  });
  // Failed tests are a valid result here, so the status is 200.
  api.post('/tailnet/:tailnet/acl/validate', anyText, async (request, response) => {
    const text = typeof request.body === 'string' ? request.body : '';
    const data = await validatePolicy(database, control, text);
    response.json(data.length === 0 ? {} : { message: 'test(s) failed', data });
  });
}

function sendPolicy(request: Request, response: Response, policy: Policy): void {
  response.set('ETag', policy.etag);
  if (request.accepts(['application/hujson', 'application/json']) === 'application/json')
    response.json(parsePolicyText(policy.text));
  else response.type('application/hujson').send(policy.text);
}

/** Finds a device by `nodeId` or by the older numeric `id`. */
async function findDevice(control: ControlServer, idOrNodeId: string): Promise<Device> {
  const devices = await control.listDevices();
  const found = devices.find(({ id, nodeId }) => id === idOrNodeId || nodeId === idOrNodeId);
  if (found === undefined) throw noSuchDevice();
  return found;
}

const noSuchDevice = () => new TailscaleError(404, 'no such device');

function parseFields(request: Request): 'default' | 'all' {
  const fields = request.query.fields ?? 'default';
  if (fields === 'default' || fields === 'all') return fields;
  throw new TailscaleError(400, 'fields must be "default" or "all"');
}

function parseFilters(request: Request): [string, string[]][] {
  const { searchParams } = new URL(request.url, 'http://sandbox');
  const names = new Set(searchParams.keys());
  names.delete('fields');
  return [...names].map((name) => [name, searchParams.getAll(name)]);
}

function caller(response: Response): Caller {
  return response.locals.caller;
}
