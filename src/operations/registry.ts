import type { AgentStatus } from '../agents/states.ts';
import { OPERATION_KIND, type OperationKind, type Role } from '../database/vocabulary.ts';
import type { AgentEffect } from './attempt.ts';
import type { OperationDefinition } from './definition.ts';

/** All kinds of operation that this version knows; src/runbooks/all.ts loads them. */
const definitions = new Map<OperationKind, OperationDefinition>();

/**
 * Registers a kind of operation.
 * @throws Error if the definition is invalid
 */
export function defineOperation<Effect extends AgentEffect>(
  definition: OperationDefinition<Effect>,
): OperationDefinition<Effect> {
  const { kind, from, cli } = definition;
  if (!OPERATION_KIND.test(kind)) throw new Error(`Invalid operation kind: ${kind}`);
  if (definitions.has(kind)) throw new Error(`Operation kind defined twice: ${kind}`);
  if (from !== undefined && cli === undefined)
    throw new Error(`The definition of ${kind} has "from" but no "cli"`);
  definitions.set(kind, definition);
  return definition;
}

/** All definitions by rank. @throws Error if src/runbooks/all.ts was not imported */
export function operationDefinitions(): OperationDefinition[] {
  if (definitions.size === 0) throw new Error('No operations are defined: import runbooks/all.ts first');
  return [...definitions.values()].sort((a, b) => a.rank - b.rank || (a.kind < b.kind ? -1 : 1));
}

export function operationKinds(): OperationKind[] {
  return operationDefinitions().map(({ kind }) => kind);
}

/** The operations that a person may request, by rank. */
export function requestableOperations(): Requestable[] {
  return operationDefinitions().filter(isRequestable);
}

export type Requestable = OperationDefinition & Required<Pick<OperationDefinition, 'from' | 'cli'>>;

function isRequestable(definition: OperationDefinition): definition is Requestable {
  return definition.from !== undefined;
}

/** The least role that may ask for it. */
export function leastRoleFor({ leastRole = 'operator' }: Pick<OperationDefinition, 'leastRole'>): Role {
  return leastRole;
}

/** Whether a program may ask for it by itself: nothing is lost by it, and it costs nothing. */
export function isForPrograms({
  takesFromCustomer = false,
  changesPrice = false,
}: Pick<OperationDefinition, 'takesFromCustomer' | 'changesPrice'>): boolean {
  return !takesFromCustomer && !changesPrice;
}

/** Whether a program may propose it: it loses something, and takes no parameters, as a proposal has none. */
export function isProposable({
  takesFromCustomer = false,
  parameters,
}: Pick<OperationDefinition, 'takesFromCustomer' | 'parameters'>): boolean {
  return takesFromCustomer && parameters === undefined;
}

/** Returns undefined for an unknown kind: another version may have written the row. */
export function findOperation(kind: OperationKind): OperationDefinition | undefined {
  return operationDefinitions().find((definition) => definition.kind === kind);
}

/** Like findOperation, but only for kinds that a person may request. */
export function findRequestable(kind: OperationKind): Requestable | undefined {
  return requestableOperations().find((definition) => definition.kind === kind);
}

export function exclusiveKinds(): OperationKind[] {
  return operationDefinitions()
    .filter(({ exclusive }) => exclusive)
    .map(({ kind }) => kind);
}

/** The kinds that take no slot of a worker. */
export function kindsBeside(): OperationKind[] {
  return operationDefinitions().flatMap(({ kind, runsBeside }) => (runsBeside ? [kind] : []));
}

/** The kinds that make a slot's server their agent's. */
export function adoptingKinds(): OperationKind[] {
  return operationDefinitions().flatMap(({ kind, adopts }) => (adopts ? [kind] : []));
}

/**
 * Whether an attempt may begin. For an exclusive operation, the agent must still be in a status that allows
 * the request, or in one that an earlier attempt left.
 */
export function mayBegin(kind: OperationKind, status: AgentStatus): boolean {
  const { exclusive = false, from = [], resumesFrom = [] } = findOperation(kind) ?? {};
  return !exclusive || from.includes(status) || resumesFrom.includes(status);
}

/** The time limit for unknown kinds. Their attempts fail at once anyway. */
const UNKNOWN_LIMIT_SECONDS = 10 * 60;

export function limitSeconds(kind: OperationKind): number {
  return findOperation(kind)?.limitSeconds ?? UNKNOWN_LIMIT_SECONDS;
}
