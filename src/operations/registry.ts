import type { AgentStatus } from '../agents/states.ts';
import { OPERATION_KIND, type OperationKind } from '../database/vocabulary.ts';
import type { AgentEffect } from './attempt.ts';
import type { OperationDefinition } from './definition.ts';

/** Every kind of operation that this version knows; src/runbooks/all.ts loads them. */
const definitions = new Map<OperationKind, OperationDefinition>();

/**
 * Makes a kind of operation known to everything that is derived from it.
 * @throws Error where the definition is not sound
 */
export function defineOperation<Effect extends AgentEffect>(
  definition: OperationDefinition<Effect>,
): OperationDefinition<Effect> {
  const { kind, from, cli } = definition;
  if (!OPERATION_KIND.test(kind)) throw new Error(`${kind} cannot be the name of a kind of operation`);
  if (definitions.has(kind)) throw new Error(`The kind of operation ${kind} is defined twice`);
  if (from !== undefined && cli === undefined)
    throw new Error(`A person may ask for a ${kind}, and its definition lacks words for the command line`);
  definitions.set(kind, definition);
  return definition;
}

/** All definitions by rank. @throws Error in a process that has not loaded src/runbooks/all.ts */
export function operationDefinitions(): OperationDefinition[] {
  if (definitions.size === 0) throw new Error('No kind of operation is loaded: import runbooks/all.ts');
  return [...definitions.values()].sort((a, b) => a.rank - b.rank || (a.kind < b.kind ? -1 : 1));
}

export function operationKinds(): OperationKind[] {
  return operationDefinitions().map(({ kind }) => kind);
}

/** What a person may ask for, by rank. */
export function requestableOperations(): Requestable[] {
  return operationDefinitions().filter(isRequestable);
}

export type Requestable = OperationDefinition & Required<Pick<OperationDefinition, 'from' | 'cli'>>;

function isRequestable(definition: OperationDefinition): definition is Requestable {
  return definition.from !== undefined;
}

/** Undefined for a kind that this version does not know: another version may have written its row. */
export function findOperation(kind: OperationKind): OperationDefinition | undefined {
  return operationDefinitions().find((definition) => definition.kind === kind);
}

/** The same for what a person may ask for. */
export function findRequestable(kind: OperationKind): Requestable | undefined {
  return requestableOperations().find((definition) => definition.kind === kind);
}

export function exclusiveKinds(): OperationKind[] {
  return operationDefinitions()
    .filter(({ exclusive }) => exclusive)
    .map(({ kind }) => kind);
}

/**
 * Whether an attempt may begin: an exclusive one finds its agent as it was when it was asked for, or resumes.
 */
export function mayBegin(kind: OperationKind, status: AgentStatus): boolean {
  const { exclusive = false, from = [], resumesFrom = [] } = findOperation(kind) ?? {};
  return !exclusive || from.includes(status) || resumesFrom.includes(status);
}

/** How long an attempt at a kind that this version does not know may take; it fails at once. */
const UNKNOWN_LIMIT_SECONDS = 10 * 60;

export function limitSeconds(kind: OperationKind): number {
  return findOperation(kind)?.limitSeconds ?? UNKNOWN_LIMIT_SECONDS;
}
