import { setTimeout as pause } from 'node:timers/promises';
import { option } from '@optique/core/primitives';
import { answer } from '../../../client/client.ts';
import type { RekeyJson } from '../../http/rekey-json.ts';
import { defineCommand, json, toText } from '../command.ts';
import { ServiceAway } from '../connection.ts';
import { printJson, type Terminal } from '../terminal.ts';

const LOOK_EVERY_MS = 1_000;

export const rekey = defineCommand({
  name: 'rekey',
  brief: 'how far a change of the passphrase is, and what is left',
  detail:
    'The change begins by itself once every process was started with the new PULUMI_CONFIG_PASSPHRASE and with the former one as PULUMI_CONFIG_PASSPHRASE_BEFORE. Exit 1 if something needs a person.',
  examples: ['rekey', 'rekey --wait', 'rekey --json'],
  fields: {
    wait: option('--wait', { description: toText('wait until nothing needs the former passphrase') }),
    ...json,
  },
  run: async ({ wait, json: asJson }, terminal) => {
    const status = wait ? await untilDone(terminal, asJson) : await read(terminal);
    if (asJson) printJson(terminal, status);
    else if (!wait) for (const line of describe(status)) terminal.print(line);
    return status.problems.length === 0;
  },
});

const read = ({ api }: Terminal) => answer(api.GET('/api/rekey'));

const isOver = ({ state }: RekeyJson) => state === 'done' || state === 'none';

/** Prints what changes. It outlives the restarts that such a change needs. */
async function untilDone(terminal: Terminal, asJson: boolean): Promise<RekeyJson> {
  let told = '';
  for (let isFirst = true; ; isFirst = false) {
    const status = await read(terminal).catch((error: unknown) => {
      if (isFirst || !(error instanceof ServiceAway)) throw error;
    });
    if (status !== undefined) {
      const text = describe(status).join('\n');
      if (!asJson && text !== told) terminal.print(text);
      told = text;
      if (isOver(status)) return status;
    }
    await pause(LOOK_EVERY_MS);
  }
}

function describe({ state, waitsFor, left, problems }: RekeyJson): string[] {
  const more = problems.map((problem) => `  ! ${problem}`);
  switch (state) {
    case 'none':
      return ['The passphrase is not being changed. How to: docs/operating.md, "Changing the passphrase"'];
    case 'waiting':
      return [
        'Nothing has changed yet. These do not have the new passphrase; restart them with it:',
        ...waitsFor.map((name) => `  ${name}`),
        ...more,
      ];
    case 'moving':
      return [`Left under the former passphrase: ${describeLeft(left)}`, ...more];
    case 'done':
      return [
        'The passphrase is changed, and nothing needs the former one.',
        'Take PULUMI_CONFIG_PASSPHRASE_BEFORE out of every process’s environment, and out of the repository’s secrets.',
        ...more,
      ];
  }
}

function describeLeft({ agents, slots, images, stacks }: RekeyJson['left']): string {
  const counts = [`${agents} agents`, `${slots} slots`, `${images} images`];
  return [...counts, stacks === null ? 'stacks not counted yet' : `${stacks} stacks`].join(', ');
}
