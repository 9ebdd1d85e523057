import {
  addName,
  changedNames,
  compareFields,
  diffNamed,
  type Field,
  type Fields,
  stable,
} from '../fields.ts';
import type { Resource } from '../resource.ts';
import { isRecord, type Properties, UNKNOWN_VALUE } from '../values.ts';
import { pause } from '../waiting.ts';
import { type HcloudClient, HcloudError, named } from './client.ts';

const rulesField: Field = {
  kind: 'set',
  same: (recorded, wanted) => stable(rules(recorded)) === stable(rules(wanted)),
};

const fields: Fields = {
  name: { kind: 'text' },
  labels: { kind: 'map' },
  rules: rulesField,
  applyTos: { kind: 'set', computed: true },
};

/** hcloud.Firewall, with the semantics of terraform-provider-hcloud's hcloud_firewall. */
export const firewall: Resource<HcloudClient> = {
  check: (inputs, old, context) => ({ added: addName(inputs, old, context) }),
  diff: (input) => diffNamed(fields, input),
  preview: (inputs, state) => ({
    ...state,
    labels: {},
    ...inputs,
    applyTos: inputs.applyTos ?? state?.applyTos ?? UNKNOWN_VALUE,
  }),
  async create(client, inputs, { signal }) {
    const body = {
      name: inputs.name,
      labels: inputs.labels ?? {},
      rules: rules(inputs.rules).map(ruleBody),
      ...(entries(inputs.applyTos).length > 0 ? { apply_to: entries(inputs.applyTos).map(applyToBody) } : {}),
    };
    return named('createFirewall', async () => {
      const answer = await client.request('POST', '/firewalls', body, signal);
      const id = String(isRecord(answer.firewall) ? answer.firewall.id : '');
      await client.wait(entries(answer.actions), signal);
      return { id, state: (await readState(client, id, signal)) ?? toState(answer.firewall) };
    });
  },
  async read(client, id, { inputs }, { signal }) {
    const state = await named('readFirewall', () => readState(client, id, signal));
    if (!state) return undefined;
    const live: Properties = { name: state.name, labels: state.labels, rules: state.rules };
    if (inputs.rules !== undefined && rulesField.same!(state.rules, inputs.rules, state))
      live.rules = inputs.rules;
    if (inputs.applyTos !== undefined) live.applyTos = state.applyTos;
    return { id, state, inputs: { ...inputs, ...live } };
  },
  async update(client, id, change, { signal }) {
    const changed = changedNames(compareFields(fields, change));
    await named('updateFirewall', async () => {
      if (changed.has('name') || changed.has('labels')) {
        const body = { name: change.inputs.name, labels: change.inputs.labels ?? {} };
        await client.request('PUT', `/firewalls/${id}`, body, signal);
      }
      if (changed.has('rules')) {
        const body = { rules: rules(change.inputs.rules).map(ruleBody) };
        await act(client, `/firewalls/${id}/actions/set_rules`, body, signal);
      }
      if (changed.has('applyTos')) await updateApplyTos(client, id, change, signal);
    });
    const state = await readState(client, id, signal);
    if (!state) throw new Error(`hcloud/updateFirewall: firewall ${id} not found (not_found)`);
    return state;
  },
  async delete(client, id, _state, { signal }) {
    await named('deleteFirewall', () => deleteFirewall(client, id, signal));
  },
  defaultTimeoutSeconds: { create: 1200, read: 1200, update: 1200, delete: 1200 },
};

async function deleteFirewall(client: HcloudClient, id: string, signal: AbortSignal): Promise<void> {
  const state = await readState(client, id, signal);
  if (!state) return;
  const applied = entries(state.applyTos);
  if (applied.length > 0) {
    const body = { remove_from: applied.map(applyToBody) };
    await act(client, `/firewalls/${id}/actions/remove_from_resources`, body, signal);
  }
  // The API takes a moment to notice that a firewall is unused. The official provider also tries ten times.
  for (let tries = 1; ; tries++) {
    try {
      await client.request('DELETE', `/firewalls/${id}`, undefined, signal);
      return;
    } catch (error) {
      if (error instanceof HcloudError && error.code === 'not_found') return;
      const busy = error instanceof HcloudError && ['conflict', 'resource_in_use'].includes(error.code);
      if (!busy || tries >= 10) throw error;
      await pause(Math.min(5000, 200 * 2 ** tries), signal);
    }
  }
}

async function updateApplyTos(
  client: HcloudClient,
  id: string,
  { state, inputs }: { state: Properties; inputs: Properties },
  signal: AbortSignal,
): Promise<void> {
  const before = new Map(entries(state.applyTos).map((entry) => [stable(entry), entry]));
  const after = new Map(entries(inputs.applyTos).map((entry) => [stable(entry), entry]));
  const removed = [...before].filter(([key]) => !after.has(key)).map(([, entry]) => applyToBody(entry));
  const added = [...after].filter(([key]) => !before.has(key)).map(([, entry]) => applyToBody(entry));
  const actions = `/firewalls/${id}/actions`;
  if (removed.length > 0)
    await act(client, `${actions}/remove_from_resources`, { remove_from: removed }, signal);
  if (added.length > 0) await act(client, `${actions}/apply_to_resources`, { apply_to: added }, signal);
}

async function act(client: HcloudClient, path: string, body: Properties, signal: AbortSignal): Promise<void> {
  const answer = await client.request('POST', path, body, signal);
  await client.wait(entries(answer.actions), signal);
}

async function readState(
  client: HcloudClient,
  id: string,
  signal: AbortSignal,
): Promise<Properties | undefined> {
  const answer = await client.find(`/firewalls/${id}`, signal);
  return answer && toState(answer.firewall);
}

function toState(value: unknown): Properties {
  if (!isRecord(value)) throw new Error('hcloud: the answer holds no firewall');
  return {
    id: String(value.id),
    name: value.name,
    labels: value.labels ?? {},
    rules: entries(value.rules).map((rule) => ({
      direction: rule.direction,
      protocol: rule.protocol,
      port: rule.port ?? undefined,
      sourceIps: rule.source_ips ?? [],
      destinationIps: rule.destination_ips ?? [],
      description: rule.description ?? undefined,
    })),
    applyTos: entries(value.applied_to).map((target) =>
      isRecord(target.server)
        ? { server: target.server.id }
        : { labelSelector: isRecord(target.label_selector) ? target.label_selector.selector : '' },
    ),
  };
}

/** Returns the rules in canonical order, without empty parts, so that equal sets are equal lists. */
function rules(value: unknown): Properties[] {
  const cleaned = entries(value).map((rule) => ({
    direction: rule.direction,
    protocol: rule.protocol,
    port: rule.port ? String(rule.port) : undefined,
    description: rule.description || undefined,
    sourceIps: [...((rule.sourceIps as string[] | undefined) ?? [])].sort(),
    destinationIps: [...((rule.destinationIps as string[] | undefined) ?? [])].sort(),
  }));
  return cleaned.sort((a, b) => (stable(a) < stable(b) ? -1 : 1));
}

function ruleBody({ sourceIps, destinationIps, ...rule }: Properties): Properties {
  return { ...rule, source_ips: sourceIps, destination_ips: destinationIps };
}

function applyToBody(entry: Properties): Properties {
  return entry.server
    ? { type: 'server', server: { id: Number(entry.server) } }
    : { type: 'label_selector', label_selector: { selector: entry.labelSelector } };
}

function entries(value: unknown): Properties[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
