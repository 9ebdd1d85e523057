import { expect, test } from 'vitest';
import type { ServerDescription } from '../../../src/hetzner/hetzner.ts';
import { whyUnfit } from '../../../src/runbooks/steps/unfit-server.ts';
import { DESCRIPTION, server } from '../../support/runbook-fixture.ts';

const fit: ServerDescription = {
  ...server('x', 1),
  name: 'web1',
  labels: { team: 'shop' },
  firewallIds: [],
  ...DESCRIPTION,
};

test('a plain server is fit, also with labels of its owner and from a snapshot', () => {
  expect(whyUnfit(fit)).toEqual([]);
  expect(whyUnfit({ ...fit, system: undefined, image: undefined })).toEqual([]);
});

test.each<[Partial<ServerDescription>, RegExp]>([
  [{ labels: { 'agent-id': 'ada' } }, /label agent-id says that it is ada's/],
  [{ labels: { 'operation-id': 'x' } }, /label operation-id/],
  [{ labels: { 'managed-by': 'terraform' } }, /terraform manages it/],
  [{ status: 'off' }, /it is off, not running/],
  [{ isLocked: true }, /another action/],
  [{ isInRescue: true }, /rescue system/],
  [{ hasIso: true }, /ISO image/],
  [{ ipv4: null }, /no public IPv4 address/],
  [{ volumes: ['7'] }, /volume 7 is attached to it: unmount and detach it first/],
  [{ floatingIps: ['8'] }, /floating IP 8 is assigned to it: unassign it first/],
  [{ loadBalancers: ['9'] }, /load balancer 9 has it as a target: remove it there first/],
  [{ privateNetworks: 1 }, /private network/],
  [{ isInPlacementGroup: true }, /placement group/],
  [{ firewallIds: [5] }, /under the firewall 5/],
  [{ system: 'fedora 41' }, /made from fedora 41/],
])('a server with %j is not', (more, reason) => {
  expect(whyUnfit({ ...fit, ...more })).toEqual([expect.stringMatching(reason)]);
});

test('the agents’ own firewall, which an earlier attempt has applied, is no obstacle', () => {
  expect(whyUnfit({ ...fit, firewallIds: [77] }, { ignoringFirewall: 77 })).toEqual([]);
});
