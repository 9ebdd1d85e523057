import { addName, changedNames, compareFields, diffNamed, type Fields } from '../fields.ts';
import type { Resource } from '../resource.ts';
import { isRecord, type Properties, UNKNOWN_VALUE } from '../values.ts';
import { type HcloudClient, HcloudError, named } from './client.ts';

const fields: Fields = {
  name: { kind: 'text' },
  publicKey: { kind: 'text', replaces: true },
  labels: { kind: 'map' },
};

/** hcloud.SshKey, with the semantics of terraform-provider-hcloud's hcloud_ssh_key. */
export const sshKey: Resource<HcloudClient> = {
  check: (inputs, old, context) => ({
    added: addName(inputs, old, context),
    failures:
      inputs.publicKey === undefined ? [{ property: 'publicKey', reason: 'Missing required argument' }] : [],
  }),
  diff: (input) => diffNamed(fields, input),
  preview: (inputs, state) => ({ ...state, ...inputs, fingerprint: state?.fingerprint ?? UNKNOWN_VALUE }),
  async create(client, inputs, { signal }) {
    const body = { name: inputs.name, public_key: inputs.publicKey, labels: inputs.labels ?? {} };
    const answer = await named('createSshKey', () => client.request('POST', '/ssh_keys', body, signal));
    const state = toState(answer.ssh_key);
    return { id: String(state.id), state };
  },
  async read(client, id, { inputs }, { signal }) {
    const answer = await named('readSshKey', () => client.find(`/ssh_keys/${id}`, signal));
    if (!answer) return undefined;
    const state = toState(answer.ssh_key);
    const live = { name: state.name, publicKey: state.publicKey, labels: state.labels };
    return { id, state, inputs: { ...inputs, ...live } };
  },
  async update(client, id, change, { signal }) {
    const changed = changedNames(compareFields(fields, change));
    const body: Properties = {};
    if (changed.has('name')) body.name = change.inputs.name;
    if (changed.has('labels')) body.labels = change.inputs.labels ?? {};
    const answer = await named('updateSshKey', () => client.request('PUT', `/ssh_keys/${id}`, body, signal));
    return toState(answer.ssh_key);
  },
  async delete(client, id, _state, { signal }) {
    try {
      await named('deleteSshKey', () => client.request('DELETE', `/ssh_keys/${id}`, undefined, signal));
    } catch (error) {
      if (!(error instanceof HcloudError) || error.code !== 'not_found') throw error;
    }
  },
  defaultTimeoutSeconds: { create: 1200, read: 1200, update: 1200, delete: 1200 },
};

function toState(key: unknown): Properties {
  if (!isRecord(key)) throw new Error('hcloud: the answer holds no ssh_key');
  return {
    id: String(key.id),
    name: key.name,
    fingerprint: key.fingerprint,
    publicKey: key.public_key,
    labels: key.labels ?? {},
  };
}
