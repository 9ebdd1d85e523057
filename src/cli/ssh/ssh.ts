import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { sandboxConnections } from '../../../sandbox/host/connections.ts';
import { loadInstallationSecrets } from '../../../sandbox/host/installation-secrets.ts';
import { readMachineKind } from '../../../sandbox/host/machines.ts';
import { readSandboxFile } from '../../../sandbox/host/sandbox-file.ts';
import { audit } from '../../agents/audit.ts';
import { type AgentKeys, createVault } from '../../agents/secrets.ts';
import { type AgentRow, findAgent } from '../../agents/store.ts';
import type { Config } from '../../config/config.ts';
import type { Connections } from '../../connections/connections.ts';
import { openConnections } from '../../connections/rehearsal.ts';
import { createDatabase, createPool } from '../../database/connect.ts';
import { CommandError, ServiceAway } from '../connection.ts';
import { knownHosts, sshArguments, withPrivateAgent } from './command.ts';
import { findSshRoute } from './route.ts';

/**
 * Opens a shell on an agent's server over the tailnet, or runs one command. It needs the service's own
 * database and passphrase, because agents' keys are not handed out over HTTP.
 * @returns ssh's exit code. @throws CommandError
 */
export async function ssh(
  { agentId, command }: { agentId: string; command: readonly string[] },
  { config, terminal }: { config: Config; terminal: string | undefined },
): Promise<number> {
  const connections = await findConnections(config);
  if (connections.machines === 'simulated')
    throw new CommandError('The machines of this sandbox are simulated: there is nothing to log in to');
  const { agent, keys } = await readAgent(agentId, connections);
  const route = await findSshRoute(config, connections);
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-ssh-'));
  try {
    const knownHostsFile = join(folder, 'known_hosts');
    writeFileSync(knownHostsFile, knownHosts(agent.tailnet_ip!, keys, agent.status), { mode: 0o600 });
    const { proxyCommand } = route;
    const args = sshArguments({ address: agent.tailnet_ip!, knownHostsFile, proxyCommand, command });
    const environment = { ...config.childEnvironment, ...(terminal && { TERM: terminal }) };
    return await runSsh(args, keys.sshPrivateKey, environment);
  } finally {
    rmSync(folder, { recursive: true });
    await route.close();
  }
}

async function findConnections(config: Config): Promise<Connections> {
  if (config.mode !== 'sandbox') return openConnections(config);
  const file = readSandboxFile(config.dataDir);
  if (file === undefined)
    throw new ServiceAway(`No service is running on ${config.dataDir}: start it with \`npm start\``);
  const secrets = loadInstallationSecrets(config.dataDir);
  return sandboxConnections(config, file, secrets, readMachineKind(config.dataDir) ?? 'simulated');
}

async function readAgent(
  agentId: string,
  connections: Connections,
): Promise<{ agent: AgentRow; keys: AgentKeys }> {
  const pool = createPool(connections.databaseUrl, 1, 'agent-stacks ssh');
  try {
    const database = createDatabase(pool);
    const agent = await findAgent(database, agentId);
    if (agent === undefined) throw new CommandError(`There is no agent ${agentId}`);
    if (agent.tailnet_ip === null || agent.secrets === null)
      throw new CommandError(`Agent ${agentId} (${agent.status}) is not on the tailnet`);
    if (agent.status === 'stopped')
      throw new CommandError(`Agent ${agentId} is stopped: npm run agents -- start ${agentId}`);
    const keys = createVault(connections.pulumi.keyring).open(agentId, agent.secrets);
    const entry = { actor: 'operator', action: 'agent.ssh', agentId, details: whoIsHere() };
    await database.transaction().execute((trx) => audit(trx, entry));
    return { agent, keys };
  } finally {
    await pool.end();
  }
}

/** Who has this host and its environment has no other name here than that of their login. */
function whoIsHere(): { login: string; host: string } {
  const host = hostname();
  try {
    return { login: userInfo().username, host };
  } catch {
    // A container may run as a user without a name.
    return { login: `uid ${process.getuid?.()}`, host };
  }
}

async function runSsh(
  args: readonly string[],
  privateKey: string,
  environment: Record<string, string>,
): Promise<number> {
  const [command, commandArgs] = withPrivateAgent(args);
  const child = spawn(command, commandArgs, {
    env: environment,
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  // The terminal sends Ctrl-C to ssh too.
  const ignore = () => {};
  const end = () => child.kill('SIGTERM');
  process.on('SIGINT', ignore).on('SIGTERM', end).on('SIGHUP', end);
  const key = child.stdio[3] as Socket;
  key.on('error', ignore);
  key.end(privateKey);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 255;
  } catch (error) {
    throw new CommandError('This command needs OpenSSH (ssh, ssh-agent, ssh-add)', { cause: error });
  } finally {
    // The key agent outlives ssh by some seconds and would keep this process waiting for its end of the pipe.
    key.destroy();
    process.off('SIGINT', ignore).off('SIGTERM', end).off('SIGHUP', end);
  }
}
