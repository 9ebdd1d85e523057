import { setTimeout as sleep } from 'node:timers/promises';
import { float, string } from '@optique/core/valueparser';
import type { CanaryJson } from '../../http/canary-json.ts';
import { defineCommand, json, needed, text } from '../command.ts';
import { CommandError } from '../connection.ts';
import { answer, printJson, printTable, type Terminal } from '../terminal.ts';

const POLL_MS = 1_000;

export const canary = defineCommand({
  name: 'canary',
  brief: 'take one agent through a whole life, to show that everything works',
  detail:
    'Provision until healthy, stop, start, suspend, snapshot, wake, destroy with its receipt. It costs what two servers cost for an hour. ' +
    'Ctrl-C leaves it to the service, which takes it to its end.',
  examples: ['canary --max-cost 0.05', 'canary --max-cost 0.10 --region us-east --json'],
  fields: {
    maxCost: needed('--max-cost', float({ metavar: 'EUROS', min: 0 }), 'refuse if it would cost more'),
    region: text('--region', string({ metavar: 'REGION' }), 'where (eu-central)'),
    ...json,
  },
  run: async ({ maxCost, region, json: asJson }, terminal) => {
    const begun = await answer(
      terminal.api.POST('/api/canary', {
        body: { maxEuros: maxCost, ...(region !== undefined && { region }) } as never,
      }),
    );
    if (!asJson) terminal.print(`${begun.agentId} begins its life in ${begun.region}.`);
    const ended = await follow(terminal, begun.runId, asJson);
    if (asJson) printJson(terminal, ended);
    else report(terminal, ended);
    return ended.status === 'succeeded';
  },
});

/** Waits for its end, and says what begins. */
async function follow(terminal: Terminal, runId: string, isQuiet: boolean): Promise<CanaryJson> {
  for (let told = 0; ; ) {
    const { items } = await answer(terminal.api.GET('/api/canary'));
    const run = items.find((one) => one.runId === runId);
    if (run === undefined) throw new CommandError('The service no longer knows this canary');
    if (!isQuiet) for (const { kind } of run.steps.slice(told)) terminal.print(`  ${kind} …`);
    told = run.steps.length;
    if (run.status !== 'running') return run as CanaryJson;
    await sleep(POLL_MS);
  }
}

function report(
  terminal: Terminal,
  { steps, status, error, agentId, startedAt, finishedAt }: CanaryJson,
): void {
  const total = steps.reduce((sum, { euros }) => sum + (euros ?? 0), 0);
  const seconds = (Date.parse(finishedAt ?? startedAt) - Date.parse(startedAt)) / 1000;
  const euros = (amount: number | null) => (amount === null ? '' : amount.toFixed(4));
  if (steps.length > 0)
    printTable(
      terminal,
      ['STEP', 'RESULT', 'SECONDS', 'EUROS'],
      [
        ...steps.map((step) => [step.kind, step.status, step.seconds?.toFixed(1) ?? '', euros(step.euros)]),
        ['total', status, seconds.toFixed(1), euros(total)],
      ],
    );
  if (error !== null)
    terminal.print(`The canary ${status === 'refused' ? 'was refused' : 'failed'}: ${error}`);
  else terminal.print(`Its receipt: npm run agents -- receipt ${agentId}`);
}
