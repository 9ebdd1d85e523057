import { withDefault } from '@optique/core/modifiers';
import { argument, option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import { defineCommand, json, text, toText } from '../command.ts';
import { CommandError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

type Rebuilt = Awaited<ReturnType<typeof ask>>;

const ask = (terminal: Terminal, apply: boolean) =>
  answer(terminal.api.POST('/api/rebuild-state', { body: { apply } }));

export const rebuildState = defineCommand({
  name: 'rebuild-state',
  brief: 'find agents and orders again after both databases were lost',
  detail:
    'Reads the labels at Hetzner, the devices at Tailscale and the subscriptions at Stripe, says what it found, and after a confirmation writes the rows and imports the stacks. No server is touched, made or deleted.',
  examples: [
    'rebuild-state --dry-run',
    'rebuild-state --yes',
    'rebuild-state --accept --note "nothing was sold since"',
  ],
  fields: {
    dryRun: option('--dry-run', { description: toText('only say what would be done') }),
    yes: option('--yes', { description: toText('do it without asking') }),
    accept: option('--accept', {
      description: toText('where only GitHub’s runners have the keys: vouch that the rows are all there is'),
    }),
    note: text('--note', string({ metavar: 'TEXT' }), 'with --accept: why, for the audit log'),
    ...json,
  },
  run: async ({ dryRun, yes, accept, note, json: asJson }, terminal) => {
    if (accept) return acceptState(terminal, { yes, note, asJson });
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

/** For a service without the clouds' keys, which cannot look itself. */
async function acceptState(
  terminal: Terminal,
  { yes, note, asJson }: { yes: boolean; note: string | undefined; asJson: boolean },
): Promise<boolean> {
  if (!yes) {
    const { confirm } = terminal;
    if (confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
    const question =
      'Agents that the rows do not know stay billed, and one that was destroyed since is shown as it was. Work on these rows?';
    if (!(await confirm(question))) return false;
  }
  const accepted = await answer(
    terminal.api.POST('/api/rebuild-state/accept', { body: { ...(note !== undefined && { note }) } }),
  );
  if (asJson) return printJson(terminal, accepted);
  terminal.print('Work begins on the rows as they are.');
  return true;
}

async function isConfirmed({ confirm }: Terminal, { agents }: Rebuilt): Promise<boolean> {
  if (confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
  return confirm(`Write the rows of ${agents.length} agents?`);
}

function show(terminal: Terminal, { applied, agents, slots, snapshots, orders, unclear }: Rebuilt): void {
  const rows = [
    ...agents.map((one) => [one.agentId, one.status, one.action]),
    ...slots.map((one) => [one.slotId, 'slot', one.action]),
  ];
  if (rows.length > 0) printTable(terminal, ['AGENT', 'STATUS', applied ? 'DONE' : 'WOULD BE'], rows);
  const linked = applied ? `, ${snapshots} snapshots found again, ${orders} orders linked` : '';
  terminal.print(`${agents.length} agents, ${slots.length} slots${linked}, ${unclear.length} unclear.`);
  for (const { cause, cure } of unclear) terminal.print(`- ${cause}\n  ${cure}`);
}

const BACKUP_VERBS = ['make', 'list'] as const;

export const backup = defineCommand({
  name: 'backup',
  brief: 'back both databases up now, or list the backups',
  detail:
    'make (the default): both databases, encrypted, to where BACKUP_TO says, and restored into a scratch database as a check. list: the latest backups.',
  examples: ['backup', 'backup list --json'],
  fields: {
    verb: withDefault(
      argument(choice(BACKUP_VERBS, { metavar: 'WHAT', suggest: 'nearest' }), {
        description: toText(BACKUP_VERBS.join(', ')),
      }),
      'make',
    ),
    ...json,
  },
  run: async ({ verb, json: asJson }, terminal) => {
    if (verb === 'list') return listBackups(terminal, asJson);
    const made = await answer(terminal.api.POST('/api/backups'));
    if (asJson) return printJson(terminal, made);
    const checked = made.verifiedAt === null ? 'not checked: only its recipients can open it' : 'checked';
    terminal.print(`${made.location} (${made.bytes} bytes, ${checked})`);
    return true;
  },
});

async function listBackups(terminal: Terminal, asJson: boolean): Promise<true> {
  const { items } = await answer(terminal.api.GET('/api/backups'));
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) terminal.print('There is no backup yet: npm run agents -- backup makes one.');
  else
    printTable(
      terminal,
      ['STARTED', 'BYTES', 'ROWS', 'CHECKED', 'WHERE', 'ERROR'],
      items.map((one) => [
        one.startedAt.slice(0, 19),
        one.bytes === null ? null : String(one.bytes),
        one.rows === null ? null : String(one.rows),
        one.verifiedAt === null ? 'no' : 'yes',
        one.location,
        one.error,
      ]),
    );
  return true;
}

export const restore = defineCommand({
  name: 'restore',
  brief: 'restore a backup into empty databases, while nothing of the installation runs',
  detail:
    'It needs the service’s own DATA_DIR, or in live mode its environment. Afterwards start the service and run rebuild-state, which finds what happened since.',
  examples: ['restore /backups/agent-stacks-live-0a1b2c3d4e5f-20261130T030000Z-1a2b3c4d.age'],
  fields: {
    from: argument(string({ metavar: 'FILE' }), {
      description: toText('a path, or s3://BUCKET/PREFIX/NAME?endpoint=…'),
    }),
    identity: text('--identity', string({ metavar: 'FILE' }), 'private keys of age, for BACKUP_RECIPIENTS'),
    force: option('--force', { description: toText('give up what is in the databases') }),
    yes: option('--yes', { description: toText('with --force: do it without asking') }),
    ...json,
  },
  run: async () => {
    throw new Error('restore is run by its caller, with the databases that a worker needs');
  },
});
