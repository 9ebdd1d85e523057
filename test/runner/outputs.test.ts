import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toWorkflowOutputs, writeOutputs } from '../../src/runner/outputs.ts';
import { OUTPUTS } from '../support/operations-fixture.ts';

test('a provision reports its server, other successes nothing, a failure its reason and step', () => {
  expect(toWorkflowOutputs({ status: 'succeeded', effect: { kind: 'running', outputs: OUTPUTS } })).toEqual({
    server_id: OUTPUTS.serverId,
    server_ip: OUTPUTS.ipv4,
    tailscale_ip: OUTPUTS.tailnetIp,
  });
  expect(toWorkflowOutputs({ status: 'succeeded', effect: { kind: 'destroyed' } })).toEqual({});
  const failed = toWorkflowOutputs({ status: 'failed', error: 'x'.repeat(9_000), failedStep: 'configuring' });
  expect(failed).toEqual({ error: 'x'.repeat(4_000), failed_step: 'configuring' });
});

test('no value can forge another output', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-outputs-'));
  try {
    const file = join(folder, 'outputs');
    const error = 'first line\nEOF\nserver_id=666\nend-\n';
    writeOutputs(file, { error, failed_step: 'configuring' });
    const [, end] = /^error<<(\S+)\n/.exec(readFileSync(file, 'utf8')) ?? [];
    const [, written] = readFileSync(file, 'utf8').split(new RegExp(`^error<<${end}\\n|\\n${end}\\n`, 'm'));
    expect(written).toBe(error);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
