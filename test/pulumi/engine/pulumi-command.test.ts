import type { PulumiCommand } from '@pulumi/pulumi/automation/index.js';
import { expect, test } from 'vitest';
import { countingCommand } from '../../../src/pulumi/engine/pulumi-command.ts';

function setup() {
  const controller = new AbortController();
  const started: string[][] = [];
  const command = { run: async (args: string[]) => void started.push(args) } as unknown as PulumiCommand;
  return { controller, started, counted: countingCommand(command, controller.signal) };
}

test('each process is counted, and gets the options that spare work', async () => {
  const { counted, started } = setup();
  await counted.run(['stack', 'init', 'a'], '/');
  await counted.run(['destroy'], '/');
  expect(started).toEqual([
    ['stack', 'init', 'a', '--no-select'],
    ['destroy', '--remove', '--skip-plugin-pre-install'],
  ]);
  expect(counted.count()).toBe(2);
});

test('no process starts after the abort', async () => {
  const { counted, started, controller } = setup();
  const reason = new Error('cancelled');
  controller.abort(reason);
  await expect(counted.run(['up'], '/')).rejects.toBe(reason);
  expect(started).toEqual([]);
  expect(counted.count()).toBe(0);
});
