import { z } from 'zod';
import '../src/runbooks/all.ts';
import type { RequestableKind } from '../src/cli/requestable-kind.ts';
import { operationKinds, type Requestable, requestableOperations } from '../src/operations/registry.ts';

/** What src/cli/operation-kinds.ts exports, derived from the definitions of all kinds. */
export function listOperationKinds() {
  return { OPERATION_KINDS: operationKinds(), REQUESTABLE_KINDS: requestableOperations().map(toRequestable) };
}

function toRequestable({ kind, cli, parameters, confirm }: Requestable): RequestableKind {
  return {
    kind,
    brief: cli,
    parameters: Object.entries(parameters?.shape ?? {}).map(([name, schema]) => ({
      name,
      ...(schema instanceof z.ZodEnum && { choices: schema.options.map(String) }),
    })),
    ...(confirm && { loses: confirm.loses }),
  };
}

/** The module's source, not formatted. */
export function generateOperationKinds(): string {
  const { OPERATION_KINDS, REQUESTABLE_KINDS } = listOperationKinds();
  return `// Generated from the definitions in src/runbooks/: node tools/generate-client.ts. Do not edit.
import type { RequestableKind } from './requestable-kind.ts';

/** Every kind of operation, by rank. */
export const OPERATION_KINDS: readonly string[] = ${JSON.stringify(OPERATION_KINDS)};

/** Those that a person may request, by rank. */
export const REQUESTABLE_KINDS: readonly RequestableKind[] = ${JSON.stringify(REQUESTABLE_KINDS)};
`;
}
