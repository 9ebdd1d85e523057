import { getAgentForOperation } from '../../src/agents/for-operation.ts';
import { recordSnapshot } from '../../src/agents/hibernation.ts';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { createVault } from '../../src/agents/secrets.ts';
import { createSnapshotSeal } from '../../src/agents/snapshot-seal.ts';
import type { Server, Snapshot, SshKey } from '../../src/hetzner/hetzner.ts';
import type { ServerOffer } from '../../src/hetzner/resources.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import type { Attempt } from '../../src/operations/attempt.ts';
import type { OperationRow } from '../../src/operations/claims.ts';
import type { RunbookParts } from '../../src/operations/runbook-parts.ts';
import { Lease } from '../../src/processes/lease.ts';
import type { StackResult } from '../../src/pulumi/engine/messages.ts';
import type { EngineAttempt, StackEngine } from '../../src/pulumi/engine/stack-engine.ts';
import { NotJoinedError } from '../../src/pulumi/errors.ts';
import { ensureFoundation } from '../../src/runbooks/steps/foundation.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { isLabelled } from '../../src/runbooks/steps/own-server.ts';
import { Secret } from '../../src/secret.ts';
import { NameTakenError, type TailnetDevice } from '../../src/tailscale/tailscale.ts';
import { toLabels } from '../../stacks/labels.ts';
import type { AgentProgram, StackProgram } from '../../stacks/program.ts';
import { type OperationsFixture, OUTPUTS } from './operations-fixture.ts';

type Verb = 'up' | 'renew-key' | 'import' | 'refresh' | 'destroy' | 'unlock';

/** What Hetzner says of a server that is fit for an adoption. */
export const DESCRIPTION = {
  serverType: 'cx23',
  location: 'nbg1',
  system: 'debian 12',
  image: 'debian-12',
  volumes: [],
  floatingIps: [],
  loadBalancers: [],
  privateNetworks: 0,
  isInPlacementGroup: false,
  isInRescue: false,
  hasIso: false,
};

/** Once for all: to derive its key takes as long as a test. */
const keyring = new Keyring(new Secret('passphrase'));
const vault = createVault(keyring);
const snapshotSeal = createSnapshotSeal(keyring);

/** Fakes of all that a runbook uses. They record calls in order and answer as configured. */
export function createRunbookFixture(at: OperationsFixture) {
  const calls: string[] = [];
  const programs: StackProgram[] = [];
  const answers: Partial<
    Record<
      | `${Verb} ${string}`
      | Verb
      | 'healthy'
      | 'forget'
      | 'shut down'
      | 'rebuild'
      | 'firewall'
      | 'snapshot'
      | 'rename'
      | 'name server'
      | 'create ssh key'
      | 'remove firewall'
      | 'create key',
      Error[]
    >
  > = {};
  const servers: Server[] = [];
  const failedServers = new Set<string>();
  /** Servers whose system ignores a shutdown request. */
  const deaf = new Set<string>();
  const installed: { image: string; userData: string }[] = [];
  const sshKeys: SshKey[] = [];
  const snapshots: Snapshot[] = [];
  const given = new Set<number>();
  const firewalls: { id: number; name: string }[] = [];
  const devices: TailnetDevice[] = [];
  /** Names given to devices, in order. */
  const names: string[] = [];
  /** Where a server type is sold, by its name. */
  const offers: Record<string, ServerOffer[]> = {};
  const takenNames = new Set<string>();
  const tailnetKeys: { id: string; description?: string }[] = [];
  const reach = async (call: string, key: keyof typeof answers = call as Verb): Promise<void> => {
    calls.push(call);
    const error = answers[key]?.shift();
    if (error !== undefined) throw error;
  };
  const stack =
    (verb: Verb) =>
    async (_: EngineAttempt, program: StackProgram, options?: object): Promise<StackResult> => {
      programs.push(program);
      const mayBeNew = (options as { mayBeNew?: boolean } | undefined)?.mayBeNew ? ' new' : '';
      await reach(`${verb} ${program.stack}${mayBeNew}`, `${verb} ${program.stack}`);
      if (verb === 'up' && program.stack === 'foundation') {
        firewalls.splice(0, 1, { id: 77, name: 'agents-default' });
      }
      if (verb === 'up' && program.stack === 'agent') applyServer(program);
      if (verb === 'up' && program.stack === 'agent' && program.device === undefined) join(program.inputs);
      return {
        outputs: program.stack === 'agent' ? agentOutputs(program) : { firewallId: '77' },
        changes: {},
        processes: 1,
      };
    };
  /** The servers in the agents' stacks, by their ids. */
  const stacked = new Set<string>();
  /** Deletes the server of a hibernated agent, and makes one from a snapshot unless the stack has one. */
  const applyServer = ({ inputs, restoredFrom, found }: AgentProgram) => {
    const own = (one: Server) => one.name === `agent-${inputs.agentId}`;
    if (inputs.hibernated !== undefined) {
      remove(servers, own);
      stacked.clear();
    } else if (found?.serverId !== undefined) stacked.add(found.serverId);
    else if (restoredFrom !== undefined && stacked.size === 0) {
      const made = server(inputs.agentId, Number(OUTPUTS.serverId) + 1);
      servers.push({ ...made, imageId: restoredFrom });
      stacked.add(made.id);
    }
    if (restoredFrom !== undefined && !servers.some(own))
      throw new NotJoinedError('The server did not join the tailnet in time');
  };
  const agentOutputs = ({ restoredFrom, inputs }: AgentProgram) => {
    const own = servers.find(({ name }) => name === `agent-${inputs.agentId}`);
    return restoredFrom === undefined ? { ...OUTPUTS } : { ...OUTPUTS, serverId: own!.id };
  };
  /** Verbs that need no program. */
  const onStack =
    (verb: Verb) =>
    async (_: EngineAttempt, stackName: string): Promise<StackResult> => {
      const kind = stackName.startsWith('foundation-') ? 'foundation' : 'agent';
      await reach(`${verb} ${kind}`);
      if (verb === 'refresh')
        for (const id of stacked) if (servers.every((one) => one.id !== id)) stacked.delete(id);
      return { outputs: {}, changes: {}, processes: 1 };
    };
  /** Adds the device of a server that has joined, at the address in the outputs. */
  const join = ({ joinName: hostname = 'agent', keyGeneration, hibernated }: AgentProgram['inputs']) => {
    const isHibernated = hibernated !== undefined;
    if (isHibernated || devices.some(({ addresses }) => addresses.includes(OUTPUTS.tailnetIp))) return;
    const name = `${hostname}.tail.ts.net`;
    devices.push({
      nodeId: `n${keyGeneration}`,
      name,
      hostname,
      addresses: [OUTPUTS.tailnetIp],
      tags: ['tag:agent'],
    });
  };
  const labelled = <T extends { labels: Record<string, string> }>(all: T[], agentId: string | undefined) =>
    all.filter(({ labels }) => agentId === undefined || isLabelled({ labels }, agentId));
  const remove = <T>(all: T[], matches: (one: T) => boolean) => {
    const index = all.findIndex(matches);
    if (index >= 0) all.splice(index, 1);
  };
  const status = (id: string, now: string) => {
    const server = servers.find((one) => one.id === id);
    if (server !== undefined) server.status = now;
  };
  const power = async (call: string, id: string, now: string, key: keyof typeof answers = call as Verb) => {
    await reach(call, key);
    status(id, now);
  };
  const executor: StackEngine = {
    up: stack('up') as StackEngine['up'],
    renewKey: async (run, program) => {
      await stack('renew-key')(run, program);
      return new Secret('user data');
    },
    importStack: stack('import') as StackEngine['importStack'],
    refresh: onStack('refresh'),
    destroy: onStack('destroy'),
    rename: async (_, stackName, to) => {
      await reach(`rename ${stackName} ${to}`, 'rename');
      return { outputs: {}, changes: {}, processes: 1 };
    },
    move: async () => {},
    unlock: async (run, stackName) => void (await onStack('unlock')(run, stackName)),
  };
  const foundations = createFoundationStore(at.database, { evict: async () => {} });
  const deps: RunbookParts = {
    executor,
    ensureFoundation: (run, project) =>
      ensureFoundation({ foundations, executor, hetzner: deps.hetzner }, run, project),
    recordInputs: (run, { inputs, secrets }) =>
      at.database.transaction().execute((trx) => recordInputs(trx, run.agent.agent_id, { inputs, secrets })),
    recordSnapshot: async (run, snapshotId) => {
      await reach(`record snapshot ${snapshotId}`);
      await at.database
        .transaction()
        .execute((trx) => recordSnapshot(trx, run.agent.agent_id, snapshotId, run.operation.kind));
    },
    vault,
    snapshotSeal,
    newServerName: (agentId) => `agent-${agentId}`,
    settings: {
      healthPort: 8088,
      configurationVersion: 'v1',
      joinTimeoutSeconds: 180,
      healthTimeoutSeconds: 1,
      loginServer: undefined,
      pollInterval: undefined,
    },
    health: {
      isHealthy: async () => true,
      untilHealthy: async (tailnetIp) => reach(`healthy ${tailnetIp}`, 'healthy'),
    },
    state: {
      forget: async (name) => reach(`forget ${name}`, 'forget'),
      prune: async () => {},
      makeSeeded: async () => false,
      secretsProvider: async () => undefined,
      listSecretsProviders: async () => new Map(),
    },
    goneWithinSeconds: 0,
    hetzner: {
      listServers: async (agentId) => labelled(servers, agentId),
      listSshKeys: async (agentId) => labelled(sshKeys, agentId),
      listSnapshots: async (agentId) => labelled(snapshots, agentId),
      getSnapshot: async (id) => snapshots.find((one) => one.id === id),
      createSnapshot: async (serverId, { name, labels }) => {
        let number = 9001 + snapshots.length;
        // Hetzner gives no id twice, even if a snapshot has been deleted.
        while (given.has(number)) number += 1;
        given.add(number);
        const id = String(number);
        const made = {
          id,
          name,
          status: 'creating',
          sizeGb: null,
          serverId,
          labels,
          isProtected: false,
          createdAt: new Date(),
        };
        snapshots.push(made);
        await reach(`snapshot ${serverId}`, 'snapshot');
        return Object.assign(made, { status: 'available', sizeGb: 0.4 });
      },
      awaitSnapshot: async (id) => {
        await reach(`await snapshot ${id}`);
        const made = snapshots.find((one) => one.id === id)!;
        return Object.assign(made, { status: 'available', sizeGb: 0.4 });
      },
      setSnapshotLabels: async (id, labels) => {
        await reach(`label snapshot ${id}`);
        snapshots.find((one) => one.id === id)!.labels = labels;
      },
      deleteSnapshot: async (id) => {
        await reach(`delete snapshot ${id}`);
        remove(snapshots, (one) => one.id === id);
      },
      findFirewall: async (name) => firewalls.find((one) => one.name === name),
      failedToStart: async (id) => failedServers.has(id),
      findServerType: async (name) => ({
        name,
        diskGb: name === 'cx23' ? 40 : 80,
        offers: offers[name] ?? [],
      }),
      listServerPrices: async () => [],
      getServer: async (id) => servers.find((one) => one.id === id),
      findServer: async (name) => servers.find((one) => one.name === name),
      findSshKey: async (name) => sshKeys.find((one) => one.name === name),
      setServerLabels: async (id, labels) => {
        await reach(`label server ${id}`);
        servers.find((one) => one.id === id)!.labels = labels;
      },
      setServerIdentity: async (id, identity) => {
        await reach(`name server ${id} ${identity.name}`, 'name server');
        Object.assign(servers.find((one) => one.id === id)!, identity);
      },
      describeServer: async (id) => {
        const server = servers.find((one) => one.id === id);
        return server && { ...DESCRIPTION, ...server };
      },
      createSshKey: async (key) => {
        await reach(`create ssh key ${key.name}`, 'create ssh key');
        sshKeys.push({ id: `key-${sshKeys.length}`, ...key });
      },
      removeFirewall: async (firewallId, id) => {
        await reach(`remove firewall ${firewallId} ${id}`, 'remove firewall');
        const server = servers.find((one) => one.id === id)!;
        server.firewallIds = server.firewallIds.filter((one) => one !== firewallId);
      },
      setSshKeyLabels: async (id, labels) => {
        await reach(`label ssh key ${id}`);
        sshKeys.find((one) => one.id === id)!.labels = labels;
      },
      applyFirewall: async (firewallId, id) => {
        await reach(`firewall ${firewallId} ${id}`, 'firewall');
        if (firewalls.every((one) => one.id !== firewallId)) return false;
        servers.find((one) => one.id === id)!.firewallIds.push(firewallId);
        return true;
      },
      powerOn: async (id) => power(`power on ${id}`, id, 'running'),
      shutDown: async (id) => {
        await reach(`shut down ${id}`, 'shut down');
        if (!deaf.has(id)) status(id, 'off');
      },
      powerOff: async (id) => power(`power off ${id}`, id, 'off'),
      rebuild: async (id, system) => {
        installed.push(system);
        await power(`rebuild ${id}`, id, 'running', 'rebuild');
      },
      deleteServer: async (id) => {
        await reach(`delete server ${id}`);
        remove(servers, (one) => one.id === id);
      },
      deleteSshKey: async (id) => {
        await reach(`delete ssh key ${id}`);
        remove(sshKeys, (one) => one.id === id);
      },
    },
    tailscale: {
      listDevices: async () => [...devices],
      deleteDevice: async (id) => {
        await reach(`delete device ${id}`);
        remove(devices, (one) => one.nodeId === id);
      },
      getDevice: async (id) => devices.find((one) => one.nodeId === id),
      setDeviceName: async (id, label) => {
        if (takenNames.has(label)) throw new NameTakenError(label, {});
        names.push(`${id} ${label}`);
        const device = devices.find((one) => one.nodeId === id);
        if (device !== undefined) device.name = `${label}.tail.ts.net`;
      },
      listKeys: async () => [...tailnetKeys],
      createKey: async ({ description }) => {
        await reach(`create key ${description}`, 'create key');
        tailnetKeys.push({ id: `k${tailnetKeys.length}`, description });
        return 'tskey-secret';
      },
      deleteKey: async (id) => {
        await reach(`delete key ${id}`);
        remove(tailnetKeys, (one) => one.id === id);
      },
    } as RunbookParts['tailscale'],
  };
  return {
    calls,
    programs,
    answers,
    servers,
    failedServers,
    deaf,
    installed,
    sshKeys,
    snapshots,
    firewalls,
    devices,
    names,
    takenNames,
    offers,
    vault,
    keyring,
    snapshotSeal,
    tailnetKeys,
    deps,
    executor,
  };
}

export type RunbookFixture = ReturnType<typeof createRunbookFixture>;

/** Prepares an attempt at an operation as a worker would, recording its steps and lines. */
export async function prepareAttempt(
  at: OperationsFixture,
  operation: OperationRow,
  fixture?: RunbookFixture,
) {
  const steps: string[] = [];
  const lines: string[] = [];
  const controller = new AbortController();
  const run: Attempt = {
    operation,
    agent: await getAgentForOperation(at.database, operation.agent_id),
    signal: controller.signal,
    lease: new Lease(Date.now() + 20_000),
    backendUrl: new Secret('postgres://state'),
    step: (name) => {
      if (steps.at(-1) !== name) {
        steps.push(name);
        fixture?.calls.push(`step ${name}`);
      }
    },
    log: (line) => lines.push(line),
  };
  return { run, steps, lines, controller };
}

export function server(agentId: string, id: number): Server {
  return {
    id: String(id),
    name: `agent-${agentId}`,
    status: 'running',
    labels: toLabels({ agentId }),
    isLocked: false,
    isProtected: false,
    diskGb: 40,
    imageId: null,
    ipv4: '192.0.2.1',
    firewallIds: [77],
  };
}

/** An SSH key as the stacks create it. Its public key belongs to no agent. */
export function sshKey(agentId: string, id: number): SshKey {
  const labels = toLabels({ agentId });
  return { id: String(id), name: `agent-${agentId}`, labels, publicKey: 'ssh-ed25519 AAAA' };
}
