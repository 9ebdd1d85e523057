import { z } from 'zod';
import { type AgentJson, agentJson } from '../http/agents/agent-json.ts';
import { operationJson } from '../http/operations/operation-json.ts';
import type { BuiltinCommand } from './arguments.ts';
import { follow } from './operations.ts';
import { agentPath, printJson, type Terminal } from './terminal.ts';

type Of<N extends BuiltinCommand['name']> = Extract<BuiltinCommand, { name: N }>;

/** 202 with the operation, or 200 with the agent if nothing has to be done now. */
const answer = z.union([operationJson, agentJson]);

/** Places or releases a hold. With `--wait`, follows the operation that it leads to. */
export async function changeHolds(command: Of<'hold' | 'release'>, terminal: Terminal): Promise<boolean> {
  const { name, agentId, reason, note } = command;
  const body = { reason, ...(note === undefined ? {} : { note }) };
  const changed = await terminal.client.post(`${agentPath(agentId)}/${name}`, answer, body);
  if ('operationId' in changed) return follow(changed, command, terminal);
  if (command.json) return printJson(terminal, changed);
  terminal.print(
    `Agent ${agentId} is ${changed.status}, holds: ${describeHolds(changed) ?? 'none'}. Nothing has to be done now.`,
  );
  return true;
}

/** Protects an agent from being destroyed, or lifts its protection. */
export async function protect(
  { name, agentId, json }: Of<'protect' | 'unprotect'>,
  terminal: Terminal,
): Promise<boolean> {
  const agent = await terminal.client.patch(agentPath(agentId), agentJson, { protected: name === 'protect' });
  if (json) return printJson(terminal, agent);
  terminal.print(
    agent.protected
      ? `Agent ${agentId} is protected: nobody can destroy it.`
      : `Agent ${agentId} is not protected.`,
  );
  return true;
}

/** The agent's holds in one line; null if it has none. */
export function describeHolds({ holds }: Pick<AgentJson, 'holds'>): string | null {
  if (holds.length === 0) return null;
  return holds
    .map(({ reason, since, by, note }) => {
      const why = note === null ? '' : `: ${note}`;
      return `${reason} since ${since.slice(0, 19)} by ${by}${why}`;
    })
    .join('; ');
}
