import { option } from '@optique/core/primitives';
import { answer } from '../../../client/client.ts';
import { defineCommand, json, toText } from '../command.ts';
import { CommandError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

type Rebuilt = Awaited<ReturnType<typeof ask>>;

const ask = (terminal: Terminal, apply: boolean) =>
  answer(terminal.api.POST('/api/rebuild-state', { body: { apply } }));

export const rebuildState = defineCommand({
  name: 'rebuild-state',
  brief: 'find agents, slots and orders again after both databases were lost',
  detail:
    'Reads the labels at Hetzner, the devices at Tailscale and the subscriptions at Stripe, says what it found, and after a confirmation writes the rows and imports the stacks. No server is touched, made or deleted.',
  examples: ['rebuild-state --dry-run', 'rebuild-state --yes'],
  fields: {
    dryRun: option('--dry-run', { description: toText('only say what would be done') }),
    yes: option('--yes', { description: toText('do it without asking') }),
    ...json,
  },
  run: async ({ dryRun, yes, json: asJson }, terminal) => {
    if (dryRun || !yes) {
      const proposal = await ask(terminal, false);
      if (asJson && dryRun) return printJson(terminal, proposal);
      if (!asJson) show(terminal, proposal);
      if (dryRun || !(await isConfirmed(terminal, proposal))) return dryRun;
    }
    const rebuilt = await ask(terminal, true);
    if (asJson) return printJson(terminal, rebuilt);
    show(terminal, rebuilt);
    terminal.print(
      'The stacks are imported now, a few at a time: npm run agents -- list shows their health.',
    );
    return true;
  },
});

async function isConfirmed({ confirm }: Terminal, { agents, slots }: Rebuilt): Promise<boolean> {
  if (confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
  return confirm(`Write the rows of ${agents.length} agents and ${slots.length} slots?`);
}

function show(terminal: Terminal, { applied, agents, slots, orders, unclear }: Rebuilt): void {
  const rows = [
    ...agents.map((one) => [one.agentId, one.status, one.action]),
    ...slots.map((one) => [one.slotId, 'ready', one.action]),
  ];
  if (rows.length > 0) printTable(terminal, ['AGENT', 'STATUS', applied ? 'DONE' : 'WOULD BE'], rows);
  const linked = applied ? `, ${orders} orders linked` : '';
  terminal.print(`${agents.length} agents, ${slots.length} slots${linked}, ${unclear.length} unclear.`);
  for (const { cause, cure } of unclear) terminal.print(`- ${cause}\n  ${cure}`);
}
