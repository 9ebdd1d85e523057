import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RUN_TAG } from '../../sandbox/github/act.ts';
import { killTagged } from '../../sandbox/processes.ts';
import type { Installation } from './installation.ts';

/** A workflow run as the sandbox's GitHub shows it to anyone. */
// biome-ignore lint/suspicious/noExplicitAny: answers are judged by the tests' expectations.
export async function workflowRun({ connection }: Installation, id: string): Promise<any> {
  const path = `/repos/sandbox/agent-stacks/actions/runs/${id}`;
  return (await fetch(`${connection.githubApiUrl}${path}`)).json();
}

/** Reads the complete log of a run. */
export function runLog({ site }: Installation, id: string): string {
  return readFileSync(join(site.dataDir, 'logs', 'github', `${id}.log`), 'utf8');
}

/** Returns the lines of the service's log that contain this text. */
export function serviceLog({ site }: Installation, text: string): string[] {
  const lines = readFileSync(join(site.dataDir, 'logs', 'service.log'), 'utf8').split('\n');
  return lines.filter((line) => line.includes(text));
}

/** Kills all processes of a run at once with SIGKILL: the runner, its heartbeat, Pulumi, all. */
export function killRun({ site }: Installation, id: string): Promise<number[]> {
  return killTagged(RUN_TAG, (folder) => folder === join(site.dataDir, 'github', 'runs', id));
}

/** The latest operation of an agent, from the API. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function latestOperation(installation: Installation, agentId: string): Promise<any> {
  return (await installation.ask(`/api/agents/${agentId}/operations`)).body.items[0];
}
