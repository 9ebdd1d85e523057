import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import type { FoundResource, StackWork } from './messages.ts';

/** Bounds of what is recorded about one stack; the API and the database have the same. */
export const MOST_RESOURCES = 50;
export const MOST_DRIFT = 20;
export const LONGEST_PROPERTY = 200;
export const LONGEST_VALUE = 300;

/** Collects what a run's events say about the stack's resources. */
export interface ResourceCollector {
  add(event: EngineEvent): void;
  /** All resources of the stack after the run; undefined if it saw only some of them. */
  found(): FoundResource[] | undefined;
}

/** Runs that see each resource of their stack. */
const COMPLETE: readonly StackWork['verb'][] = ['up', 'refresh', 'destroy'];

export function collectResources(verb: StackWork['verb']): ResourceCollector {
  const byUrn = new Map<string, FoundResource>();
  return {
    add: (event) => {
      const metadata = event.resOutputsEvent?.metadata;
      if (metadata === undefined || !isOwnResource(metadata.type)) return;
      const { op, urn } = metadata;
      if (verb === 'refresh') byUrn.set(urn, toFound(metadata, driftOf(metadata)));
      else if (op === 'delete') byUrn.delete(urn);
      else if (op !== 'delete-replaced' && op !== 'replace') byUrn.set(urn, toFound(metadata, []));
    },
    found: () => {
      if (!COMPLETE.includes(verb)) return undefined;
      return verb === 'destroy' ? [] : [...byUrn.values()].slice(0, MOST_RESOURCES);
    },
  };
}

type Metadata = NonNullable<EngineEvent['resOutputsEvent']>['metadata'];

function isOwnResource(type: string): boolean {
  return (
    type !== 'pulumi:pulumi:Stack' && !type.startsWith('pulumi:providers:') && type.split(':').length > 2
  );
}

function toFound(
  { op, urn, type, old, new: present }: Metadata,
  drift: FoundResource['drift'],
): FoundResource {
  const id = present?.id ?? old?.id;
  return {
    name: cut(urn.split('::').at(-1) ?? urn, LONGEST_PROPERTY),
    type: cut(type, LONGEST_PROPERTY),
    id: id === undefined || id === '' ? null : cut(id, LONGEST_PROPERTY),
    isGone: op === 'delete',
    drift,
  };
}

/**
 * What a refresh found to be different from the state, property by property. The engine calls a resource the
 * same whose inputs are, so its word for the step says nothing about this.
 */
function driftOf({ type, old, new: present }: Metadata): FoundResource['drift'] {
  if (old === undefined || present === undefined) return [];
  return differences('', old.outputs ?? {}, present.outputs ?? {}, 0)
    .filter(({ property }) => CHANGES_BY_ITSELF[type]?.test(property) !== true)
    .slice(0, MOST_DRIFT);
}

/**
 * A tailnet key becomes invalid when its server joins, as it should. The labels of an SSH key hold its
 * agent's record, which the service keeps up to date itself.
 */
const CHANGES_BY_ITSELF: Record<string, RegExp> = {
  'tailscale:index/tailnetKey:TailnetKey': /^invalid$/,
  'hcloud:index/sshKey:SshKey': /^labels\.record-\d+$/,
};

/** Deeper values are shown as a whole. */
const DEEPEST = 2;

function differences(path: string, before: unknown, now: unknown, depth: number): FoundResource['drift'] {
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  if (isRecord(before) && isRecord(now) && depth <= DEEPEST) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter(
      (key) => !key.startsWith('__'),
    );
    return keys.flatMap((key) =>
      differences(path === '' ? key : `${path}.${key}`, before[key], now[key], depth + 1),
    );
  }
  const property = cut(path, LONGEST_PROPERTY);
  return [{ property, before: toText(property, before), now: toText(property, now) }];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A server's user data has its tailnet key, and not every provider marks what is secret. */
const MAY_BE_SECRET = /user_?data|password|secret|token|(^|[._])key$|private/i;

function toText(property: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (MAY_BE_SECRET.test(property)) return '[hidden]';
  return cut(typeof value === 'string' ? value : JSON.stringify(value), LONGEST_VALUE);
}

const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
