import { choice, string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import { HOLD_REASONS, type HoldReason, REASONS_OF_PEOPLE } from '../../agents/holds.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, json, needed, text, waiting } from '../command.ts';
import { follow } from '../operations.ts';
import { printJson } from '../terminal.ts';

export const hold = (shared: Arguments): Command =>
  changeHolds(shared, {
    name: 'hold',
    brief: 'switch it off until this hold is released',
    example: 'hold ada --reason abuse --note "mines coins"',
    reasons: REASONS_OF_PEOPLE,
  });

export const release = (shared: Arguments): Command =>
  changeHolds(shared, {
    name: 'release',
    brief: 'release this hold; it runs again once nothing holds it',
    example: 'release ada --reason abuse --wait',
    // The service says which of them a person may release.
    reasons: HOLD_REASONS,
  });

interface HoldCommand {
  name: 'hold' | 'release';
  brief: string;
  example: string;
  reasons: readonly HoldReason[];
}

function changeHolds({ agent }: Arguments, { name, brief, example, reasons }: HoldCommand): Command {
  return defineCommand({
    name,
    brief,
    examples: [example],
    fields: {
      agentId: agent,
      reason: needed(
        '--reason',
        choice(reasons, { metavar: 'REASON', suggest: 'nearest' }),
        reasons.join(' or '),
      ),
      note: text('--note', string({ metavar: 'TEXT' }), 'why, for the audit log and the dashboard'),
      ...waiting,
    },
    run: async ({ agentId, reason, note, ...common }, terminal) => {
      const body = { reason: reason as 'abuse' | 'operator', ...(note && { note }) };
      const params = { path: { agentId } };
      const changed = await answer(
        name === 'hold'
          ? terminal.api.POST('/api/agents/{agentId}/hold', { params, body })
          : terminal.api.POST('/api/agents/{agentId}/release', { params, body }),
      );
      if ('operationId' in changed) return follow(changed, common, terminal);
      if (common.json) return printJson(terminal, changed);
      terminal.print(
        `Agent ${agentId} is ${changed.status}, holds: ${describeHolds(changed) ?? 'none'}. Nothing has to be done now.`,
      );
      return true;
    },
  });
}

export const protect = (shared: Arguments): Command => changeProtection(shared, true);
export const unprotect = (shared: Arguments): Command => changeProtection(shared, false);

function changeProtection({ agent }: Arguments, isProtected: boolean): Command {
  const name = isProtected ? 'protect' : 'unprotect';
  return defineCommand({
    name,
    brief: isProtected ? 'let nobody destroy it' : 'allow it to be destroyed again',
    examples: [`${name} ada`],
    fields: { agentId: agent, ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      const found = await answer(
        terminal.api.PATCH('/api/agents/{agentId}', {
          params: { path: { agentId } },
          body: { protected: isProtected },
        }),
      );
      if (asJson) return printJson(terminal, found);
      terminal.print(
        found.protected
          ? `Agent ${agentId} is protected: nobody can destroy it.`
          : `Agent ${agentId} is not protected.`,
      );
      return true;
    },
  });
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
