import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import '../../runbooks/all.ts';
import type { components } from '../../../client/api.d.ts';
import { type ApiClient, answer } from '../../../client/client.ts';
import { agentIdSchema } from '../../agents/new-agent.ts';
import {
  isForPrograms,
  isProposable,
  type Requestable,
  requestableOperations,
} from '../../operations/registry.ts';
import { CommandError } from '../connection.ts';
import { postOperation } from '../operations.ts';
import { addTool } from './tool.ts';

type NewProposal = components['schemas']['NewProposal'];

const agentId = agentIdSchema.describe('The agent’s id');

/**
 * Adds the tools that change something, derived from the operations' definitions: those that lose nothing
 * act, the others are proposed. The service refuses a program whatever else it asks for.
 */
export function addActingTools(server: McpServer, api: ApiClient): void {
  const proposed = requestableOperations().filter(isProposable);
  for (const { kind, cli, parameters } of requestableOperations().filter(isForPrograms))
    addTool(server, {
      name: `${kind}_agent`,
      description: `Asks for an operation on an agent: ${cli}`,
      input: { agentId, ...parameters?.shape },
      reads: false,
      run: ({ agentId: id, ...body }) => postOperation(api, { kind, agentId: id as string, body }),
    });
  addTool(server, {
    name: 'retry_operation',
    description: 'Starts the next attempt of a failed operation',
    input: { operationId: z.guid() },
    reads: false,
    run: ({ operationId }) =>
      answer(api.POST('/api/operations/{operationId}/retry', { params: { path: { operationId } } })),
  });
  addProposing(server, api, proposed);
}

function addProposing(server: McpServer, api: ApiClient, proposed: readonly Requestable[]): void {
  // The generated client names the same kinds, by the same filter.
  const isProposed = (kind: string): kind is NewProposal['kind'] => proposed.some((one) => one.kind === kind);
  const words = proposed.map(({ kind, cli }) => `${kind} (${cli})`).join('; ');
  addTool(server, {
    name: 'propose',
    description: `Proposes what loses data or takes an agent from its customer: ${words}. Nothing happens until a person approves it on the dashboard.`,
    input: {
      agentId,
      kind: z.enum(proposed.map(({ kind }) => kind)),
      reason: z.string().trim().min(1).max(1000).describe('Why, for the person who decides'),
    },
    reads: false,
    run: ({ kind, ...rest }) => {
      if (!isProposed(kind)) throw new CommandError(`${kind} cannot be proposed`);
      return answer(api.POST('/api/proposals', { body: { ...rest, kind } }));
    },
  });
}
