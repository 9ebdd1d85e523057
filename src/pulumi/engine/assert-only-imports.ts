import type { EngineEvent, Stack } from '@pulumi/pulumi/automation/index.js';
import { StackDiffersError } from '../errors.ts';

/** What changes nothing at a cloud. */
const HARMLESS = ['same', 'import', 'read', 'refresh'];

/**
 * Asks the engine what an `up` would do.
 * @throws StackDiffersError if that is more than to take what exists into the state
 */
export async function assertOnlyImports(stack: Stack, signal: AbortSignal): Promise<void> {
  const changes = new Set<string>();
  const onEvent = ({ resourcePreEvent }: EngineEvent) => {
    if (resourcePreEvent === undefined) return;
    const { op, urn, type, diffs } = resourcePreEvent.metadata;
    // A provider is nothing at a cloud.
    if (HARMLESS.includes(op) || type.startsWith('pulumi:providers:')) return;
    const what = (diffs ?? []).join(', ');
    changes.add(`${op} ${urn.split('::').at(-1)}${what === '' ? '' : ` (${what})`}`);
  };
  await stack.preview({ signal, onEvent });
  if (changes.size > 0)
    throw new StackDiffersError(`An import would change something: ${[...changes].sort().join('; ')}`);
}
