import { toMessage } from '../failures.ts';
import { compareFields, type Fields } from '../fields.ts';
import type { CheckFailure, Resource } from '../resource.ts';
import { isRecord, type Properties, UNKNOWN_VALUE } from '../values.ts';
import { type TailscaleClient, TailscaleError } from './client.ts';

const fields: Fields = {
  description: { kind: 'text', replaces: true },
  reusable: { kind: 'flag', fallback: false, replaces: true },
  ephemeral: { kind: 'flag', fallback: false, replaces: true },
  preauthorized: { kind: 'flag', fallback: false, replaces: true },
  tags: { kind: 'set', replaces: true },
  expiry: { kind: 'number', replaces: true, computed: true },
  userId: { kind: 'text', computed: true },
  recreateIfInvalid: { kind: 'text' },
};

/** tailscale.TailnetKey, with the semantics of terraform-provider-tailscale's tailscale_tailnet_key. */
export const tailnetKey: Resource<TailscaleClient> = {
  check: (inputs) => ({ failures: checkKey(inputs) }),
  diff(input) {
    const changes = compareFields(fields, input);
    if (input.state.invalid === true && isRecreated(input.inputs)) {
      changes.push({ path: 'invalid', kind: 'update', replaces: true });
    }
    return { changes, deleteBeforeReplace: false };
  },
  preview(inputs, state) {
    const unknown = Object.fromEntries(
      ['key', 'createdAt', 'expiresAt', 'expiry', 'invalid', 'userId'].map((name) => [name, UNKNOWN_VALUE]),
    );
    return { ...unknown, ...defaults, ...state, ...inputs };
  },
  async create(client, inputs, { signal }) {
    const body = {
      capabilities: { devices: { create: capabilities(inputs) } },
      ...(inputs.expiry === undefined ? {} : { expirySeconds: Number(inputs.expiry) }),
      ...(inputs.description ? { description: inputs.description } : {}),
    };
    const key = await saying('Failed to create key: Error creating tailnet key', () =>
      client.request('POST', `${client.tailnetPath}/keys`, body, signal),
    );
    const state = { ...defaults, ...inputs, ...facts(key), key: key.key, invalid: key.invalid === true };
    return { id: String(key.id), state };
  },
  async read(client, id, { state, inputs }, { signal }) {
    const key = await findKey(client, id, signal);
    const imported = Object.keys(state).length === 0;
    if (!key) return imported ? undefined : { id, state: { ...state, invalid: true }, inputs };
    const live = { ...toInputs(key), expiry: facts(key).expiry };
    // The API returns the secret only once, for the create: the recorded one stays.
    const read = { ...state, ...live, ...facts(key), invalid: key.invalid === true };
    const said = imported
      ? live
      : Object.fromEntries(Object.entries(live).filter(([name]) => name in inputs));
    return { id, state: read, inputs: { ...inputs, ...said } };
  },
  async update(client, id, { state, inputs }, { signal }) {
    const key = await findKey(client, id, signal);
    return {
      ...state,
      ...inputs,
      recreateIfInvalid: inputs.recreateIfInvalid,
      invalid: !key || key.invalid === true,
    };
  },
  async delete(client, id, _state, { signal }) {
    try {
      await client.request('DELETE', `${client.tailnetPath}/keys/${id}`, undefined, signal);
    } catch (error) {
      // A used single-use key may no longer exist.
      if (error instanceof TailscaleError && error.status === 404) return;
      throw new Error(`Failed to delete key: ${toMessage(error)}`, { cause: error });
    }
  },
  secretOutputs: (secretInputs) => new Set([...secretInputs, 'key']),
  defaultTimeoutSeconds: { create: 1200, read: 1200, update: 1200, delete: 1200 },
};

const defaults = { description: '', reusable: false, ephemeral: false, preauthorized: false, tags: [] };

function checkKey(inputs: Properties): CheckFailure[] {
  const failures: CheckFailure[] = [];
  if (typeof inputs.description === 'string' && inputs.description.length > 50) {
    failures.push({ property: 'description', reason: 'string length must be at most 50' });
  }
  if (!['', 'always', 'never'].includes(String(inputs.recreateIfInvalid ?? ''))) {
    failures.push({ property: 'recreateIfInvalid', reason: 'value must be one of: "" "always" "never"' });
  }
  return failures;
}

/** By default invalid reusable keys are recreated, and single-use ones count as used. */
function isRecreated(inputs: Properties): boolean {
  if (inputs.recreateIfInvalid === 'always') return true;
  return inputs.recreateIfInvalid !== 'never' && inputs.reusable === true;
}

function capabilities(inputs: Properties): Properties {
  return {
    reusable: inputs.reusable === true,
    ephemeral: inputs.ephemeral === true,
    preauthorized: inputs.preauthorized === true,
    tags: inputs.tags ?? [],
  };
}

async function findKey(
  client: TailscaleClient,
  id: string,
  signal: AbortSignal,
): Promise<Properties | undefined> {
  try {
    const key = await client.request('GET', `${client.tailnetPath}/keys/${id}`, undefined, signal);
    if (key.keyType === undefined || key.keyType === 'auth') return key;
  } catch (error) {
    if (error instanceof TailscaleError && error.status === 404) return undefined;
    throw new Error(`Failed to fetch key: Error reading tailnet key with id "${id}": ${toMessage(error)}`, {
      cause: error,
    });
  }
  throw new Error("Invalid key type: Only 'auth' keys are supported by this resource");
}

function toInputs(key: Properties): Properties {
  const devices = isRecord(key.capabilities) ? key.capabilities.devices : undefined;
  const create = isRecord(devices) && isRecord(devices.create) ? devices.create : {};
  return { ...capabilities(create), description: key.description ?? '' };
}

/** Returns a key's properties that are not inputs. */
function facts(key: Properties): Properties {
  const seconds = (Date.parse(String(key.expires)) - Date.parse(String(key.created))) / 1000;
  return {
    id: key.id,
    createdAt: timestamp(key.created),
    expiresAt: timestamp(key.expires),
    expiry: Number(key.expirySeconds ?? Math.round(seconds)),
    userId: key.userId ?? '',
  };
}

/** Formats a time as RFC 3339 to the second, like the official provider. */
function timestamp(value: unknown): string {
  return new Date(String(value)).toISOString().replace(/\.\d+Z$/, 'Z');
}

async function saying<Result>(prefix: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${prefix}: ${toMessage(error)}`, { cause: error });
  }
}
