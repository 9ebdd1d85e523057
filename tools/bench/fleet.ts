import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { serverFor } from '../../src/agents/plans.ts';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { agentName } from '../../stacks/inputs.ts';
import { renderUserData } from '../../stacks/user-data.ts';
import type { AgentWatch } from './agent-watch.ts';
import { cloudCalls } from './cloud-calls.ts';

export interface FleetDeps {
  sandbox: SandboxFile;
  watch: AgentWatch;
  tell: (line: string) => void;
}

const AT_ONCE = 16;
const TOLD_EVERY = 250;
const LOCATION = 'nbg1';
const PLAN = 'starter';

type Place = Pick<Member, 'tailnetIp' | 'tailnetName' | 'tailnetNodeId'>;

interface Member {
  agentId: string;
  operationId: string;
  serverId: number;
  ipv4: string;
  tailnetIp: string;
  tailnetName: string;
  tailnetNodeId: string;
}

/**
 * Creates agents in the state that provisions leave behind, without running the provisions: in the clouds
 * through their APIs (key, SSH key, a server that joins the tailnet by itself), then in the rows.
 */
export async function makeFleet(deps: FleetDeps, count: number): Promise<void> {
  const calls = cloudCalls(deps.sandbox);
  const members: Omit<Member, keyof Place>[] = [];
  let begun = 0;
  const lane = async () => {
    while (begun < count) {
      begun += 1;
      members.push(await makeMember(calls));
      if (members.length % TOLD_EVERY === 0) deps.tell(`${members.length} of ${count} agents made`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const devices = await untilJoined(calls, count);
  for (const member of members) {
    const device = devices.get(agentName(member.agentId));
    if (device === undefined) throw new Error(`${member.agentId} has not joined the tailnet`);
    await insertAgent(deps.watch, { ...member, ...device });
  }
}

type Calls = ReturnType<typeof cloudCalls>;

const key = z.object({ key: z.string() });
const sshKey = z.object({ ssh_key: z.object({ id: z.number() }) });
const server = z.object({
  server: z.object({ id: z.number(), public_net: z.object({ ipv4: z.object({ ip: z.string() }) }) }),
});
const deviceList = z.object({
  devices: z.array(
    z.object({
      nodeId: z.string(),
      hostname: z.string(),
      name: z.string(),
      addresses: z.array(z.string()),
    }),
  ),
});

async function makeMember(calls: Calls): Promise<Omit<Member, keyof Place>> {
  const agentId = `fleet-${randomUUID().slice(0, 13)}`;
  const operationId = randomUUID();
  const name = agentName(agentId);
  const labels = { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' };
  const keys = generateAgentKeys(agentId);
  const create = { reusable: false, ephemeral: false, preauthorized: true, tags: ['tag:agent'] };
  const tailnetKey = key.parse(
    await calls.tailscale('POST', '/tailnet/-/keys', {
      capabilities: { devices: { create } },
      expirySeconds: 3600,
      description: `${name} 1`,
    }),
  );
  const { ssh_key } = sshKey.parse(
    await calls.hetzner('POST', '/ssh_keys', { name, public_key: keys.sshPublicKey, labels }),
  );
  const specification = serverFor(PLAN, LOCATION);
  const made = server.parse(
    await calls.hetzner('POST', '/servers', {
      name,
      server_type: specification.serverType,
      image: specification.image,
      location: LOCATION,
      ssh_keys: [ssh_key.id],
      labels,
      user_data: renderUserData({
        hostname: name,
        joinName: name,
        tailnetKey: tailnetKey.key,
        adminPublicKey: keys.sshPublicKey,
        hostPrivateKey: keys.hostPrivateKey,
        hostPublicKey: keys.hostPublicKey,
      }),
    }),
  );
  return { agentId, operationId, serverId: made.server.id, ipv4: made.server.public_net.ipv4.ip };
}

const JOIN_SECONDS = 120;

async function untilJoined(calls: Calls, count: number): Promise<Map<string, Place>> {
  const deadline = Date.now() + JOIN_SECONDS * 1000;
  for (;;) {
    const { devices } = deviceList.parse(await calls.tailscale('GET', '/tailnet/-/devices'));
    const ours = devices.filter(({ hostname }) => hostname.startsWith(agentName('fleet-')));
    if (ours.length >= count)
      return new Map(
        ours.map(({ nodeId, hostname, name, addresses }) => [
          hostname,
          { tailnetIp: addresses[0]!, tailnetName: name, tailnetNodeId: nodeId },
        ]),
      );
    if (Date.now() > deadline)
      throw new Error(`${ours.length} of ${count} servers joined the tailnet within ${JOIN_SECONDS} s`);
    await sleep(500);
  }
}

async function insertAgent(watch: AgentWatch, member: Member): Promise<void> {
  await watch.rows(
    `insert into agents (agent_id, user_id, region, location, plan, status, step, health,
       server_id, server_name, ipv4, tailnet_ip, tailnet_name, tailnet_node_id, inputs)
     values ($1, 'bench', 'eu-central', $2, $3, 'running', 'running', 'healthy', $4, $5, $6, $7, $8, $9, $10)`,
    [
      member.agentId,
      LOCATION,
      PLAN,
      String(member.serverId),
      agentName(member.agentId),
      member.ipv4,
      member.tailnetIp,
      member.tailnetName,
      member.tailnetNodeId,
      JSON.stringify({ agentId: member.agentId, operationId: member.operationId, keyGeneration: 1 }),
    ],
  );
}
