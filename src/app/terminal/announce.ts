import { join } from 'node:path';
import type { SandboxInstallation } from '../../../sandbox/host/installation.ts';
import { listAgents } from '../../agents/store.ts';
import type { Role } from '../../config/config.ts';
import type { Database } from '../../database/connect.ts';
import { say } from '../../processes/terminal-text.mjs';
import { explainProblems } from '../../reconcile/checks/monitor.ts';
import type { InstallationCheck } from '../../reconcile/checks/store.ts';

/**
 * Prints that the process is ready, its URL, and the problems with its configuration. `installation` is
 * undefined in live mode, and `url` for a worker, which has no web server.
 */
export function announceStart(started: {
  installation: SandboxInstallation | undefined;
  role: Role;
  url: string | undefined;
  problems: InstallationCheck[];
}): void {
  const { installation, role, url, problems } = started;
  const explained = explainProblems(problems);
  if (explained !== undefined) say(`\n${explained}`);
  if (url !== undefined) say(`\n  Dashboard     ${url}`);
  if (installation !== undefined) {
    say(`  Credentials   ${join(installation.dataDir, 'sandbox.json')}`);
    say(`  Machines      ${installation.machines}`);
  }
  const waiting = problems.some(({ blocks }) => blocks) ? ', but orders are on hold' : '';
  say(`  Ready (${role})${waiting}. Ctrl-C stops everything.\n`);
}

const SHOWN_AGENTS = 10;

/** Prints the agents that existed before this start. */
export async function showAgents(database: Database): Promise<void> {
  const agents = await listAgents(database, { limit: SHOWN_AGENTS });
  for (const agent of agents)
    say(`  ${agent.agent_id}  ${agent.status}  ${agent.ipv4 ?? ''}  ${agent.tailnet_ip ?? ''}`);
}
