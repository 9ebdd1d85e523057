import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { randomText } from '../random-text.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { insertObject, lockObject, saveObject } from './objects.ts';
import {
  boolean,
  changeMetadata,
  definedOnly,
  metadata,
  metadataChange,
  text,
  unsettable,
  url,
} from './parameters.ts';
import { mountResource, type Resource } from './resource.ts';
import { API_VERSION, type Event, newId, nowSeconds, type WebhookEndpoint } from './wire.ts';

const KIND = 'webhook_endpoint';

/** Stripe's limit of an account. */
const MOST_ENDPOINTS = 16;

export const webhookEndpoints: Resource<WebhookEndpoint> = {
  object: KIND,
  path: '/webhook_endpoints',
  filters: {},
  expandable: {},
};

const enabled_events = z.array(text).min(1);

const optional = {
  description: unsettable(text).optional(),
  connect: boolean.optional(),
};

/** Declares the endpoints that a customer of Stripe makes; deliveries.ts sends events to them. */
export function mountWebhookEndpoints(endpoints: Endpoints): void {
  mountResource(endpoints, webhookEndpoints);
  const { path } = webhookEndpoints;
  const parameters = { url, enabled_events, metadata, api_version: text.optional(), ...optional };
  endpoints.post(path, { answers: KIND, parameters }, (trx, { input }) => createEndpoint(trx, input));
  const changes = {
    url: url.optional(),
    enabled_events: enabled_events.optional(),
    disabled: boolean.optional(),
    metadata: metadataChange,
    ...optional,
  };
  endpoints.post(`${path}/:id`, { answers: KIND, parameters: changes }, (trx, { id, input }) =>
    changeEndpoint(trx, id, input),
  );
  endpoints.delete(`${path}/:id`, { answers: KIND, parameters: {} }, async (trx, { id }) => {
    await lockObject<WebhookEndpoint>(trx, KIND, id);
    await trx.deleteFrom('stripe_objects').where('id', '=', id).execute();
    return { id, object: KIND, deleted: true };
  });
}

interface NewEndpoint {
  url: string;
  enabled_events: string[];
  metadata: Record<string, string>;
  api_version?: string | undefined;
  description?: string | null | undefined;
}

/** Only this answer contains the signing secret, as at Stripe. */
async function createEndpoint(trx: SandboxTransaction, wanted: NewEndpoint): Promise<WebhookEndpoint> {
  if ((await listAll(trx)).length >= MOST_ENDPOINTS)
    throw invalidRequest(`You have reached the maximum of ${MOST_ENDPOINTS} test webhook endpoints.`);
  if (wanted.api_version !== undefined && wanted.api_version !== API_VERSION)
    throw invalidRequest(`Invalid Stripe API version: ${wanted.api_version}`, { param: 'api_version' });
  const secret = `whsec_${randomText(32)}`;
  const endpoint: WebhookEndpoint = {
    id: newId('we'),
    object: KIND,
    api_version: wanted.api_version ?? null,
    application: null,
    created: nowSeconds(),
    description: wanted.description ?? null,
    enabled_events: wanted.enabled_events,
    livemode: false,
    metadata: wanted.metadata,
    status: 'enabled',
    url: wanted.url,
  };
  await insertObject(trx, endpoint, { secret });
  return { ...endpoint, secret };
}

interface EndpointChange {
  url?: string | undefined;
  enabled_events?: string[] | undefined;
  disabled?: boolean | undefined;
  description?: string | null | undefined;
  metadata?: z.output<typeof metadataChange>;
}

async function changeEndpoint(
  trx: SandboxTransaction,
  id: string,
  { disabled, metadata: change, ...rest }: EndpointChange,
): Promise<WebhookEndpoint> {
  const before = await lockObject<WebhookEndpoint>(trx, KIND, id);
  const after: WebhookEndpoint = {
    ...before,
    ...definedOnly({ url: rest.url, enabled_events: rest.enabled_events, description: rest.description }),
    ...(disabled !== undefined && { status: disabled ? 'disabled' : 'enabled' }),
    metadata: changeMetadata(before.metadata, change),
  };
  await saveObject(trx, after);
  return after;
}

/** Where one event goes, and the secret that signs it there. */
export interface Target {
  /** The endpoint's id; empty for the sandbox's own endpoint. */
  endpoint: string;
  url: string;
  secret: string;
}

/** Lists the enabled endpoints that an event of this type goes to. */
export async function listTargets(database: SandboxDatabase, type: Event['type']): Promise<Target[]> {
  const all = await listAll(database);
  return all
    .filter(({ body }) => body.status === 'enabled' && takes(body.enabled_events, type))
    .map(({ body, hidden }) => ({ endpoint: body.id, url: body.url, secret: hidden.secret }));
}

const takes = (enabled: readonly string[], type: string) => enabled.includes('*') || enabled.includes(type);

function listAll(database: SandboxDatabase) {
  return database
    .selectFrom('stripe_objects')
    .select(['body', 'hidden'])
    .where('object', '=', KIND)
    .orderBy('number')
    .$castTo<{ body: WebhookEndpoint; hidden: { secret: string } }>()
    .execute();
}
