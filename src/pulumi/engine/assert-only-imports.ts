import type { EngineEvent, Stack, StepEventMetadata } from '@pulumi/pulumi/automation/index.js';
import { StackDiffersError } from '../errors.ts';

/** What changes nothing at a cloud. */
const HARMLESS = ['same', 'import', 'read', 'refresh'];
const SERVER = 'hcloud:index/server:Server';
/**
 * What the stack alone knows of a server: no API returns it, so an imported server lacks it, and an update
 * asks Hetzner for nothing. A server that was resized has the first; where one differs, the official provider
 * names all three.
 */
const ONLY_IN_STATE = ['keepDisk', 'ignoreRemoteFirewallIds', 'shutdownBeforeDeletion'];

/**
 * Asks the engine what an `up` would do.
 * @throws StackDiffersError if that is more than to take what exists into the state
 */
export async function assertOnlyImports(stack: Stack, signal: AbortSignal): Promise<void> {
  const changes = new Set<string>();
  const onEvent = ({ resourcePreEvent }: EngineEvent) => {
    if (resourcePreEvent === undefined) return;
    const { op, urn, diffs } = resourcePreEvent.metadata;
    if (isHarmless(resourcePreEvent.metadata)) return;
    const what = (diffs ?? []).join(', ');
    changes.add(`${op} ${urn.split('::').at(-1)}${what === '' ? '' : ` (${what})`}`);
  };
  await stack.preview({ signal, onEvent });
  if (changes.size > 0)
    throw new StackDiffersError(`An import would change something: ${[...changes].sort().join('; ')}`);
}

function isHarmless({ op, type, diffs }: StepEventMetadata): boolean {
  // A provider is nothing at a cloud.
  if (HARMLESS.includes(op) || type.startsWith('pulumi:providers:')) return true;
  if (op !== 'update' || type !== SERVER || diffs === undefined || diffs.length === 0) return false;
  return diffs.every((name) => ONLY_IN_STATE.includes(name));
}
