import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import { expect, test } from 'vitest';
import { collectResources, MOST_DRIFT } from '../../../src/pulumi/engine/found-resources.ts';
import type { StackWork } from '../../../src/pulumi/engine/messages.ts';

const SERVER = 'hcloud:index/server:Server';
type Outputs = Record<string, unknown>;
const done = (op: string, name: string, states: { old?: Outputs; now?: Outputs } = {}, type = SERVER) =>
  ({
    sequence: 1,
    timestamp: 1,
    resOutputsEvent: {
      metadata: {
        op,
        type,
        urn: `urn:pulumi:agent-a1::agents::${type}::${name}`,
        provider: '',
        ...(states.old && { old: { id: `${name}-id`, outputs: states.old } }),
        ...(states.now && { new: { id: `${name}-id`, outputs: states.now } }),
      },
    },
  }) as unknown as EngineEvent;
const collect = (verb: StackWork['verb'], ...events: EngineEvent[]) => {
  const collector = collectResources(verb);
  for (const event of events) collector.add(event);
  return collector.found();
};

test('an update leaves what it made, took over, changed or found unchanged', () => {
  const found = collect(
    'up',
    done('create', 'key', { now: {} }),
    done('same', 'server', { old: {}, now: {} }),
    done('delete', 'old', { old: {} }),
    done('create', 'stack', { now: {} }, 'pulumi:pulumi:Stack'),
    done('same', 'default', { now: {} }, 'pulumi:providers:hcloud'),
  );
  expect(found).toEqual([
    { name: 'key', type: SERVER, id: 'key-id', isGone: false, drift: [] },
    { name: 'server', type: SERVER, id: 'server-id', isGone: false, drift: [] },
  ]);
});

test('a refresh says what differs, property by property, also where the engine says same', () => {
  const found = collect(
    'refresh',
    done('same', 'server', {
      old: { status: 'running', labels: { team: 'red', a: '1' }, ports: [1] },
      now: { status: 'off', labels: { a: '1', b: '2' }, ports: [1, 2], size: 40 },
    }),
    done('delete', 'key', { old: { name: 'k' } }),
  );
  expect(found).toEqual([
    {
      name: 'server',
      type: SERVER,
      id: 'server-id',
      isGone: false,
      drift: [
        { property: 'status', before: 'running', now: 'off' },
        { property: 'labels.team', before: 'red', now: null },
        { property: 'labels.b', before: null, now: '2' },
        { property: 'ports', before: '[1]', now: '[1,2]' },
        { property: 'size', before: null, now: '40' },
      ],
    },
    { name: 'key', type: SERVER, id: 'key-id', isGone: true, drift: [] },
  ]);
});

test('what may be secret is hidden, and everything is bounded', () => {
  const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`p${n}`, 'x'.repeat(9_000)]));
  const [found] = collect(
    'refresh',
    done('update', 'server', { old: {}, now: { userData: 'tskey-auth-1', key: 'k', ...many } }),
  )!;
  expect(JSON.stringify(found)).not.toContain('tskey');
  expect(found!.drift.slice(0, 2)).toEqual([
    { property: 'userData', before: null, now: '[hidden]' },
    { property: 'key', before: null, now: '[hidden]' },
  ]);
  expect(found!.drift).toHaveLength(MOST_DRIFT);
  expect(found!.drift[5]!.now).toHaveLength(300);
});

test('a tailnet key that has been used is no drift', () => {
  const key = 'tailscale:index/tailnetKey:TailnetKey';
  const states = { old: { invalid: false, tags: ['tag:agent'] }, now: { invalid: true, tags: [] } };
  const [found] = collect('refresh', done('same', 'tailnet-key', states, key))!;
  expect(found!.drift).toEqual([{ property: 'tags', before: '["tag:agent"]', now: '[]' }]);
});

test('after a destroy there is nothing, and a run of a part of the stack says nothing', () => {
  expect(collect('destroy', done('same', 'server', { now: {} }))).toEqual([]);
  expect(collect('renew-key', done('create', 'key', { now: {} }))).toBeUndefined();
});
