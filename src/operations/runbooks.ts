import type { AgentRow } from '../agents/store.ts';
import { PermanentError, RetryableError } from '../errors.ts';
import type { Runbook, Runbooks } from './attempt.ts';
import type { OperationDefinition } from './definition.ts';
import { findOperation, mayBegin, operationDefinitions } from './registry.ts';
import type { OperationRow } from './rows.ts';
import { inProject, type RunbookParts } from './runbook-parts.ts';

/** The runbooks of all kinds. Each attempt works in its agent's Hetzner project. */
export function createRunbooks(parts: RunbookParts): Runbooks {
  return Object.fromEntries(
    operationDefinitions().map((definition) => [definition.kind, withOwnStack(parts, definition)]),
  );
}

/**
 * What changes an agent needs a stack of its name, even if the operation that adopts its slot has not
 * succeeded yet. The rest of the adoption needs a server that answers: a stop or a rebuild must not wait.
 */
function withOwnStack(parts: RunbookParts, definition: OperationDefinition): Runbook {
  const { createsAgent, freesResources, adopts } = definition;
  const hasOwnStack = createsAgent || freesResources || adopts;
  return async (attempt) => {
    const runbook = definition.run(inProject(parts, attempt.agent.project));
    if (!hasOwnStack) await parts.takeStackOver?.(attempt);
    return runbook(attempt);
  };
}

/**
 * @throws RetryableError if this version does not know the kind
 * @throws PermanentError if the agent's status no longer allows the operation, or it would work on a server
 * that is still its owner's
 */
export function runbookFor(
  runbooks: Runbooks,
  { kind }: Pick<OperationRow, 'kind'>,
  { status, inputs }: Pick<AgentRow, 'status' | 'inputs'>,
): Runbook {
  const runbook = Object.hasOwn(runbooks, kind) ? runbooks[kind] : undefined;
  if (runbook === undefined) throw new RetryableError(`This version does not support ${kind}`);
  if (!mayBegin(kind, status))
    throw new PermanentError(`The agent is now ${status}: a ${kind} is no longer possible`);
  const { adopting } = inputs ?? {};
  if (adopting !== undefined && findOperation(kind)?.knowsForeignServers !== true)
    throw new PermanentError(
      `Server ${adopting.serverId} is still its owner's, because its adoption is not complete: nothing is done to it by a ${kind}`,
    );
  return runbook;
}
