import type { Act } from './actions.ts';
import { serverOwner } from './belongings.ts';
import type { FaultOrder } from './clouds.ts';
import { pick } from './random.ts';

const CALLS: Pick<FaultOrder, 'area' | 'method' | 'path'>[] = [
  { area: 'hetzner', method: 'POST', path: '/servers' },
  { area: 'hetzner', method: 'POST', path: '/ssh_keys' },
  { area: 'hetzner', method: 'DELETE', path: '**' },
  { area: 'hetzner', method: 'GET', path: '**' },
  { area: 'hetzner', method: 'GET', path: '/actions/*' },
  { area: 'tailscale', method: 'POST', path: '**' },
  { area: 'tailscale', method: 'GET', path: '**' },
  { area: 'tailscale', method: 'DELETE', path: '**' },
];

const EFFECTS: FaultOrder['effect'][] = [
  { kind: 'status', status: 429 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 409 },
  { kind: 'latency', ms: 3_000 },
  { kind: 'black-hole' },
  { kind: 'drop-answer' },
  { kind: 'drop-answer' },
];
const HETZNER_EFFECTS: FaultOrder['effect'][] = [
  ...EFFECTS,
  { kind: 'stock-out' },
  { kind: 'action-error', code: 'server_error', message: 'the host of this server has failed' },
];

export const orderFault: Act = async (suite, [call, effect, times]) => {
  const wanted = pick(CALLS, call!)!;
  const chosen = pick(wanted.area === 'hetzner' ? HETZNER_EFFECTS : EFFECTS, effect!)!;
  const fault = { ...wanted, effect: chosen, times: 1 + Math.floor(times! * 3) };
  await suite.clouds.orderFault(fault);
  return `ordered ${JSON.stringify(fault)}`;
};

/** Deletes a server as a person in Hetzner's console would: an agent's, or one that waits for one. */
export const deleteServer: Act = async (suite, [which]) => {
  const server = pick(await suite.clouds.servers(), which!);
  if (server === undefined) return 'delete a server by hand: none';
  suite.serverDeleted.add(serverOwner(server));
  await suite.clouds.deleteServer(server.id);
  return `deleted ${server.name} by hand`;
};
