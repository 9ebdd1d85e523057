import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { processArguments } from '../../src/processes/alive.mjs';
import { type Outcome, runToEnd } from './commands.ts';
import { eventually } from './eventually.ts';
import type { Installation } from './installation.ts';
import { openScreen, type Screen } from './machine.ts';
import { filesBelow } from './secret-probes.ts';
import { paidCheckout } from './stripe-events.ts';

type Tools = { tailscale: string; tailscaled: string };

const prepared: Tools | { missing: string[] } = JSON.parse(
  process.env.AGENT_STACKS_MACHINE_TOOLS ||
    '{"missing":["AGENT_STACKS_MACHINE_TOOLS is not set: run npm test"]}',
);

/** Declares tests on real machines. If there can be none, one skipped test with the reason replaces them. */
export function describeWithMachines(name: string, tests: () => void): void {
  if (!('missing' in prepared)) describe(name, tests);
  else it(name, ({ skip }) => skip(`real machines are not available: ${prepared.missing.join('; ')}`));
}

export interface Agent {
  agentId: string;
  status: string;
  health: string;
  unhealthySince: string | null;
  serverId: string;
  serverName: string;
  ipv4: string;
  tailnetIp: string;
  tailnetName: string;
  error: string | null;
}

/** An operation as the API returns it. */
export interface Operation {
  operationId: string;
  kind: string;
  status: string;
  attempt: number;
  retryCount: number;
  error: string | null;
  failedStep: string | null;
  timeline: { step: string; seconds: number }[];
}

/** Drives an installation with real machines through its own interfaces and those of its clouds. */
export function createFleet(installation: Installation) {
  const { connection, site } = installation;

  const agent = async (agentId: string): Promise<Agent> =>
    (await installation.ask(`/api/agents/${agentId}`)).body;

  async function operation(agentId: string): Promise<Operation> {
    const { body } = await installation.ask(`/api/agents/${agentId}/operations`);
    return body.items[0];
  }

  async function hetzner<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${connection.hcloudEndpoint}${path}`, {
      method,
      headers: { authorization: `Bearer ${connection.hcloudToken}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return (answer === '' ? {} : JSON.parse(answer)) as T;
  }

  /** Policies are HuJSON, which is returned as it was sent. */
  async function tailscale(method: string, path: string, body?: string): Promise<string> {
    const response = await fetch(`${connection.tailscaleBaseUrl}/api/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${connection.tailscaleApiKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body }),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return answer;
  }

  /** Waits for its newest operation to end. */
  async function finished(agentId: string, withinSeconds = 120): Promise<Operation> {
    let last: Operation | undefined;
    await eventually(
      `the operation of ${agentId} has ended`,
      async () => {
        last = await operation(agentId);
        return !['queued', 'active'].includes(last.status);
      },
      { withinSeconds, describe: () => JSON.stringify(last) },
    );
    return last as Operation;
  }

  /** Requests an operation. @returns its id */
  async function request(agentId: string, kind: string): Promise<string> {
    const { status, body } = await installation.ask(`/api/agents/${agentId}/${kind}`, { method: 'POST' });
    expect({ kind, status }, JSON.stringify(body)).toEqual({ kind, status: 202 });
    return body.operationId;
  }

  return {
    agent,
    operation,
    hetzner,
    tailscale,
    finished,
    request,
    /** Buys an agent, as Stripe reports it. */
    buy: async (agentId = `real-${randomUUID().slice(0, 8)}`): Promise<string> => {
      const { status } = await installation.deliver(
        paidCheckout({ agentId, userId: 'user-1', region: 'eu-west' }),
      );
      expect(status).toBe(200);
      return agentId;
    },
    /** Requests an operation and waits until it has succeeded. */
    succeed: async (agentId: string, kind: string, withinSeconds = 120): Promise<Operation> => {
      await request(agentId, kind);
      const ended = await finished(agentId, withinSeconds);
      expect(ended, ended.error ?? '').toMatchObject({ kind, status: 'succeeded' });
      return ended;
    },
    screen: (serverId: string): Screen => openScreen(site.dataDir, serverId),
    devices: async (): Promise<Device[]> => JSON.parse(await tailscale('GET', '/tailnet/-/devices')).devices,
    /** Its devices, by their given name and by the names under which its servers were meant to join. */
    devicesOf: async (agentId: string): Promise<Device[]> => {
      const rows = await installation.query('select name from tailnet_join_names where agent_id = $1', [
        agentId,
      ]);
      const joinNames = rows.map(({ name }) => name);
      const { devices } = JSON.parse(await tailscale('GET', '/tailnet/-/devices')) as { devices: Device[] };
      return devices.filter(
        ({ name, hostname }) => name.split('.')[0] === `agent-${agentId}` || joinNames.includes(hostname),
      );
    },
    /** The log of its newest configuration so far. */
    configureLog: async (agentId: string): Promise<string> => {
      const { operationId, attempt } = await operation(agentId);
      const path = join(site.dataDir, 'logs', 'configure', `${operationId}-${attempt}.log`);
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    },
    /** Ids of its servers at Hetzner. */
    serversOf: async (agentId: string): Promise<string[]> => {
      const path = `/servers?label_selector=agent-id==${agentId}`;
      const { servers } = await hetzner<{ servers: { id: number }[] }>('GET', path);
      return servers.map(({ id }) => String(id));
    },
    /** The folders of a server's disk. */
    disks: async (serverId: string): Promise<string[]> =>
      readdirSync(join(site.dataDir, 'machines')).filter((name) => name.startsWith(`${serverId}-`)),
    /** The health endpoint's answer over the tailnet, from the controller's node; '' for no answer. */
    health: async (tailnetIp: string): Promise<string> => {
      const words = [`--socket=${controllerSocket(site.dataDir)}`, 'nc', tailnetIp, '8088'];
      const child = spawn((prepared as Tools).tailscale, words, {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: {},
      });
      const late = setTimeout(() => child.kill(), 5_000);
      child.stdin.write('GET /health HTTP/1.0\r\n\r\n');
      const said = await text(child.stdout);
      clearTimeout(late);
      return said;
    },
    /** The installation's logs and this host's argument lists that contain one of the secrets. */
    whereIs: async (secrets: string[]): Promise<string[]> => {
      const logs = filesBelow(join(site.dataDir, 'logs'), /^$/);
      const lists = readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => ({ path: `process ${pid}`, text: processArguments(Number(pid)) }));
      return [...logs, ...lists, { path: 'the terminal', text: installation.terminal() }]
        .filter(({ text: content }) => secrets.some((secret) => content.includes(secret)))
        .map(({ path }) => path);
    },
    /** Runs SSH over the tailnet from the controller's node. The options count before the usual ones. */
    ssh: (address: string, options: string[], command: string): Promise<Outcome> => {
      const socket = controllerSocket(site.dataDir);
      const common = [
        '-F/dev/null',
        `-oProxyCommand=${(prepared as Tools).tailscale} --socket=${socket} nc %h %p`,
        '-oBatchMode=yes',
        '-oStrictHostKeyChecking=no',
        '-oUserKnownHostsFile=/dev/null',
      ];
      return runToEnd('ssh', [...options, ...common, address, command], {
        cwd: '/',
        env: { PATH: process.env.PATH },
      });
    },
  };
}

export type Fleet = ReturnType<typeof createFleet>;

export interface Device {
  id: string;
  nodeId: string;
  hostname: string;
  name: string;
  addresses: string[];
  tags: string[];
}

/** The controller's node: the worker's own tailscaled. */
function controllerSocket(dataDir: string): string {
  const [folder] = readdirSync(join(dataDir, 'tailnet'));
  return join(dataDir, 'tailnet', folder as string, 'tailscaled.sock');
}
