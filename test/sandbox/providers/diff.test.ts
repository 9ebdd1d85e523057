import { expect, test } from 'vitest';
import { command } from '../../../sandbox/providers/command/command.ts';
import { firewall } from '../../../sandbox/providers/hcloud/firewall.ts';
import { server } from '../../../sandbox/providers/hcloud/server.ts';
import { userDataHash } from '../../../sandbox/providers/hcloud/server-state.ts';
import { sshKey } from '../../../sandbox/providers/hcloud/ssh-key.ts';
import type { Resource } from '../../../sandbox/providers/resource.ts';
import { tailnetKey } from '../../../sandbox/providers/tailscale/tailnet-key.ts';
import { type Properties, UNKNOWN_VALUE } from '../../../sandbox/providers/values.ts';

/**
 * `~path` for a change in place, `+-path` for a replacement, `delete first` where the old one must go first.
 */
function difference(
  resource: Pick<Resource<never>, 'diff'>,
  state: Properties,
  inputs: Properties,
  oldInputs: Properties = {},
): string[] {
  const { changes, deleteBeforeReplace } = resource.diff({ oldInputs, state, inputs });
  const marks = changes.map(({ path, replaces }) => `${replaces ? '+-' : '~'}${path}`);
  const replaces = changes.some((change) => change.replaces);
  return replaces && deleteBeforeReplace ? [...marks, 'delete first'] : marks;
}

const serverRecorded = {
  name: 'agent-a1',
  serverType: 'cx23',
  image: 'debian-12',
  location: 'fsn1',
  datacenter: 'fsn1-dc14',
  userData: userDataHash('#cloud-config'),
  sshKeys: ['1'],
  labels: { 'agent-id': 'a1' },
  firewallIds: [5, 6],
  publicNets: [{ ipv4Enabled: true, ipv6Enabled: true }],
  backups: false,
  deleteProtection: false,
  status: 'running',
};
const serverWanted = {
  name: 'agent-a1',
  serverType: 'cx23',
  image: 'debian-12',
  location: 'fsn1',
  userData: '#cloud-config',
  sshKeys: ['1'],
  labels: { 'agent-id': 'a1' },
  firewallIds: [6, 5],
  publicNets: [{}],
};

test.each<[string, Properties, string[]]>([
  ['nothing', {}, []],
  ['name', { name: 'b' }, ['~name']],
  ['labels', { labels: { 'agent-id': 'a2', plan: 'x' } }, ['~labels["agent-id"]', '~labels.plan']],
  ['no labels', { labels: undefined }, ['~labels["agent-id"]']],
  ['server type', { serverType: 'cx33' }, ['~serverType']],
  ['firewalls', { firewallIds: [5] }, ['~firewallIds']],
  ['no firewalls', { firewallIds: undefined }, []],
  ['backups', { backups: true }, ['~backups']],
  ['backups explicitly off', { backups: false }, []],
  [
    'protection',
    { deleteProtection: true, rebuildProtection: true },
    ['~deleteProtection', '~rebuildProtection'],
  ],
  ['image', { image: 'debian-13' }, ['+-image', 'delete first']],
  ['no image', { image: undefined }, []],
  ['location', { location: 'hel1' }, ['+-location', 'delete first']],
  ['ssh keys', { sshKeys: ['2'] }, ['+-sshKeys', 'delete first']],
  ['user data', { userData: '#!/bin/sh' }, ['+-userData', 'delete first']],
  ['no user data', { userData: undefined }, ['+-userData', 'delete first']],
  ['public net', { publicNets: [{ ipv4Enabled: false }] }, ['~publicNets']],
  ['an unknown firewall', { firewallIds: [UNKNOWN_VALUE] }, ['~firewallIds']],
  ['unknown user data', { userData: UNKNOWN_VALUE }, ['+-userData', 'delete first']],
  ['name and image', { name: 'b', image: 'debian-13' }, ['~name', '+-image']],
])('server: %s', (_what, change, expected) => {
  expect(difference(server, serverRecorded, { ...serverWanted, ...change })).toEqual(expected);
});

test('server: with a generated name, the replacement can be created first', () => {
  const named = { name: 'server-1234567', __defaults: ['name'] };
  const state = { ...serverRecorded, name: named.name };
  expect(difference(server, state, { ...serverWanted, ...named, image: 'debian-13' })).toEqual(['+-image']);
});

test('server: an imported one, whose user data and keys the API does not return', () => {
  const { userData: _userData, sshKeys: _sshKeys, ...imported } = serverRecorded;
  const { userData: _wantedUserData, sshKeys: _wantedKeys, ...wanted } = serverWanted;
  expect(difference(server, imported, wanted)).toEqual([]);
});

const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tMqtUjeyVBhEVOLSOPqcQ0vGqxGMTJUKyJyJyJyJy';
const keyRecorded = {
  name: 'k',
  publicKey: `${publicKey} one`,
  fingerprint: '48:a3:d5:e3:50:0f:d0:d7:75:fb:89:98:60:9f:08:23',
  labels: {},
};

test.each<[string, Properties, string[]]>([
  ['nothing', {}, []],
  ['another comment', { publicKey: `${publicKey} two` }, ['+-publicKey', 'delete first']],
  ['name', { name: 'other' }, ['~name']],
  ['labels', { labels: { a: 'b' } }, ['~labels.a']],
  [
    'another key',
    { publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA one' },
    ['+-publicKey', 'delete first'],
  ],
  ['an unknown key', { publicKey: UNKNOWN_VALUE }, ['+-publicKey', 'delete first']],
])('ssh key: %s', (_what, change, expected) => {
  expect(difference(sshKey, keyRecorded, { name: 'k', publicKey: `${publicKey} one`, ...change })).toEqual(
    expected,
  );
});

const rule = { direction: 'in', protocol: 'udp', port: '41641', sourceIps: ['0.0.0.0/0', '::/0'] };
const ping = { direction: 'in', protocol: 'icmp', sourceIps: ['::/0'] };
const firewallRecorded = {
  name: 'f',
  labels: {},
  rules: [
    { ...rule, destinationIps: [] },
    { ...ping, destinationIps: [], port: undefined },
  ],
  applyTos: [{ server: 7 }],
};

test.each<[string, Properties, string[]]>([
  ['nothing, in another order', { rules: [ping, { ...rule, sourceIps: ['::/0', '0.0.0.0/0'] }] }, []],
  ['a port', { rules: [ping, { ...rule, port: '22' }] }, ['~rules']],
  ['no rules', { rules: undefined }, ['~rules']],
  ['targets', { applyTos: [{ server: 8 }] }, ['~applyTos']],
  ['the same targets', { applyTos: [{ server: 7 }] }, []],
  ['name', { name: 'g' }, ['~name']],
])('firewall: %s', (_what, change, expected) => {
  expect(difference(firewall, firewallRecorded, { name: 'f', rules: [rule, ping], ...change })).toEqual(
    expected,
  );
});

const tailnetKeyRecorded = {
  reusable: false,
  ephemeral: false,
  preauthorized: true,
  tags: ['tag:a', 'tag:b'],
  description: 'agent-a1 1',
  expiry: 3600,
  userId: 'u1',
  recreateIfInvalid: 'never',
  invalid: false,
};
const tailnetKeyWanted = {
  preauthorized: true,
  tags: ['tag:b', 'tag:a'],
  description: 'agent-a1 1',
  expiry: 3600,
  recreateIfInvalid: 'never',
};

test.each<[string, Properties, Properties, string[]]>([
  ['nothing', {}, {}, []],
  ['reusable', {}, { reusable: true }, ['+-reusable']],
  ['ephemeral', {}, { ephemeral: true }, ['+-ephemeral']],
  ['preauthorized', {}, { preauthorized: false }, ['+-preauthorized']],
  ['tags', {}, { tags: ['tag:a'] }, ['+-tags']],
  ['description', {}, { description: 'agent-a1 2' }, ['+-description']],
  ['expiry', {}, { expiry: 60 }, ['+-expiry']],
  ['no expiry', {}, { expiry: undefined }, []],
  ['recreateIfInvalid', {}, { recreateIfInvalid: 'always' }, ['~recreateIfInvalid']],
  ['invalid, never recreated', { invalid: true }, {}, []],
  ['invalid, single use', { invalid: true, recreateIfInvalid: '' }, { recreateIfInvalid: undefined }, []],
  [
    'invalid, always recreated',
    { invalid: true, recreateIfInvalid: 'always' },
    { recreateIfInvalid: 'always' },
    ['+-invalid'],
  ],
  [
    'invalid, reusable',
    { invalid: true, reusable: true, recreateIfInvalid: '' },
    { reusable: true, recreateIfInvalid: undefined },
    ['+-invalid'],
  ],
])('tailnet key: %s', (_what, recorded, change, expected) => {
  const state = { ...tailnetKeyRecorded, ...recorded };
  expect(difference(tailnetKey, state, { ...tailnetKeyWanted, ...change })).toEqual(expected);
});

const commandInputs = { create: 'echo', triggers: ['1', { file: 'x' }], environment: { A: 'b' } };

test.each<[string, Properties, string[]]>([
  ['nothing', {}, []],
  ['create', { create: 'echo 2' }, ['~create']],
  ['environment', { environment: { A: 'c' } }, ['~environment']],
  ['delete', { delete: 'rm' }, ['~delete']],
  ['triggers', { triggers: ['2', { file: 'x' }] }, ['+-triggers', 'delete first']],
  ['unknown triggers', { triggers: [UNKNOWN_VALUE] }, ['+-triggers', 'delete first']],
])('command: %s', (_what, change, expected) => {
  expect(difference(command, commandInputs, { ...commandInputs, ...change }, commandInputs)).toEqual(
    expected,
  );
});
