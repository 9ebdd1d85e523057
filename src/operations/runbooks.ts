import type { AgentRow } from '../agents/store.ts';
import { PermanentError, RetryableError } from '../errors.ts';
import type { Runbook, Runbooks } from './attempt.ts';
import { mayBegin, operationDefinitions } from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { RunbookParts } from './runbook-parts.ts';

/** The runbooks of all kinds. */
export function createRunbooks(parts: RunbookParts): Runbooks {
  return Object.fromEntries(operationDefinitions().map(({ kind, run }) => [kind, run(parts)]));
}

/** @throws PermanentError where the agent is no longer as it was when the operation was asked for. */
export function runbookFor(
  runbooks: Runbooks,
  { kind }: Pick<OperationRow, 'kind'>,
  { status }: Pick<AgentRow, 'status'>,
): Runbook {
  const runbook = Object.hasOwn(runbooks, kind) ? runbooks[kind] : undefined;
  if (runbook === undefined) throw new RetryableError(`This version cannot carry out a ${kind}`);
  if (!mayBegin(kind, status))
    throw new PermanentError(`The agent is ${status} now: a ${kind} is not possible any more`);
  return runbook;
}
