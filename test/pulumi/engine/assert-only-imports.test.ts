import type { EngineEvent, PreviewOptions, Stack } from '@pulumi/pulumi/automation/index.js';
import { expect, test } from 'vitest';
import { assertOnlyImports } from '../../../src/pulumi/engine/assert-only-imports.ts';
import { StackDiffersError } from '../../../src/pulumi/errors.ts';

const SERVER = 'hcloud:index/server:Server';

interface Step {
  op: string;
  type?: string;
  diffs?: string[];
}

/** A stack whose preview would take these steps. */
function previewing(steps: readonly Step[]): Stack {
  const preview = async ({ onEvent }: PreviewOptions) => {
    for (const { op, type = SERVER, diffs } of steps) {
      const metadata = {
        op,
        type,
        urn: `urn:pulumi:agent-a::agents::${type}::server`,
        ...(diffs && { diffs }),
      };
      onEvent?.({ sequence: 1, timestamp: 1, resourcePreEvent: { metadata } } as EngineEvent);
    }
  };
  return { preview } as unknown as Stack;
}

const assertOnly = (...steps: Step[]) => assertOnlyImports(previewing(steps), new AbortController().signal);

test.each<[string, Step[]]>([
  ['nothing', []],
  ['imports and what stays', [{ op: 'import' }, { op: 'same' }, { op: 'read' }, { op: 'refresh' }]],
  ['a provider', [{ op: 'update', type: 'pulumi:providers:tailscale', diffs: ['userAgent'] }]],
  ['a server that was resized', [{ op: 'import' }, { op: 'update', diffs: ['keepDisk'] }]],
  [
    'the same, as the official provider names it',
    [{ op: 'update', diffs: ['ignoreRemoteFirewallIds', 'keepDisk', 'shutdownBeforeDeletion'] }],
  ],
])('is an import alone: %s', async (_what, steps) => {
  await assertOnly(...steps);
});

test.each<[string, Step, RegExp]>([
  ['a create', { op: 'create' }, /create server$/],
  ['a replacement', { op: 'replace', diffs: ['keepDisk'] }, /replace server \(keepDisk\)/],
  ['a replacement by an import', { op: 'import-replacement' }, /import-replacement/],
  [
    'another type',
    { op: 'update', diffs: ['keepDisk', 'serverType'] },
    /update server \(keepDisk, serverType\)/,
  ],
  ['an update that does not say of what', { op: 'update', diffs: [] }, /update server$/],
  ['the same without a list', { op: 'update' }, /update server$/],
  [
    'another resource with such a property',
    { op: 'update', type: 'hcloud:index/firewall:Firewall', diffs: ['keepDisk'] },
    /keepDisk/,
  ],
])('is more than an import: %s', async (_what, step, said) => {
  const asserted = assertOnly({ op: 'import' }, step);
  await expect(asserted).rejects.toThrow(StackDiffersError);
  await expect(asserted).rejects.toThrow(said);
});
