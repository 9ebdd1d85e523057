import { option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { answer, type Schema } from '../../../client/client.ts';
import { PLANS } from '../../agents/plans.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, needed, text, toText, waiting } from '../command.ts';
import { CommandError } from '../connection.ts';
import { printEvents } from '../operations.ts';
import { printJson, type Terminal } from '../terminal.ts';

type Adoption = Schema<'Adoption'>;

export const adopt = ({ newAgent }: Pick<Arguments, 'newAgent'>): Command =>
  defineCommand({
    name: 'adopt',
    brief: 'make a server that was made by hand an agent',
    detail:
      'Says what it does, and after a confirmation reserves the id and prints a script that you run on the server as root: it lets the service in. The server is not made again, restarted or deleted, and is given back if the adoption fails.',
    examples: [
      'adopt ada --server web1 --user-id u1 --dry-run',
      'adopt ada --server web1 --user-id u1 --host-key "$(ssh root@203.0.113.7 cat /etc/ssh/ssh_host_ed25519_key.pub)" --wait',
    ],
    fields: {
      agentId: newAgent,
      server: needed(
        '--server',
        string({ metavar: 'SERVER' }),
        'the id or the name of the server at Hetzner',
      ),
      userId: needed('--user-id', string({ metavar: 'ID' }), 'whose the agent is'),
      hostKey: text(
        '--host-key',
        string({ metavar: 'KEY' }),
        'the server’s own ed25519 host key: only a server that shows it gets anything',
      ),
      project: text(
        '--project',
        string({ metavar: 'NAME' }),
        'the Hetzner project, if several have such a server',
      ),
      plan: text('--plan', choice(PLANS, { metavar: 'PLAN', suggest: 'nearest' }), PLANS.join(', ')),
      region: text(
        '--region',
        string({ metavar: 'REGION' }),
        'what it is called; default: the server’s location',
      ),
      dryRun: option('--dry-run', { description: toText('only say what would be done') }),
      yes: option('--yes', { description: toText('do it without asking') }),
      ...waiting,
    },
    run: async ({ agentId, dryRun, yes, wait, json, ...wanted }, terminal) => {
      const ask = (apply: boolean) => post(terminal, agentId, { ...wanted, apply });
      if (dryRun || !yes) {
        const plan = await ask(false);
        if (json && dryRun) return printJson(terminal, plan) && plan.refusals.length === 0;
        if (!json) show(terminal, plan);
        if (dryRun || plan.refusals.length > 0) return plan.refusals.length === 0;
        if (wanted.hostKey === undefined)
          throw new CommandError(`--host-key is missing: ${toHostKeyHint(plan)}`);
        if (!(await isConfirmed(terminal, plan))) return false;
      }
      const begun = await ask(true);
      return json && !wait ? printJson(terminal, begun) : follow(terminal, begun, { wait, json });
    },
  });

/** What the options say, as they are without a value. */
type Wanted = { [Name in keyof Schema<'AdoptServer'>]: Schema<'AdoptServer'>[Name] | undefined } & {
  server: string;
  userId: string;
};

function post(
  { api }: Terminal,
  agentId: string,
  { hostKey, project, plan, region, ...needed }: Wanted,
): Promise<Adoption> {
  const body = {
    ...needed,
    ...(hostKey && { hostKey }),
    ...(project && { project }),
    ...(plan && { plan }),
    ...(region && { region }),
  } as Schema<'AdoptServer'>;
  return answer(api.POST('/api/agents/{agentId}/adopt', { params: { path: { agentId } }, body }));
}

function show({ print }: Terminal, plan: Adoption): void {
  const { agentId, server, refusals } = plan;
  const list = (title: string, sentences: readonly string[]) => {
    print(`${title}:`);
    for (const one of sentences) print(`- ${one}`);
  };
  print(
    `Agent ${agentId}, ${plan.plan}, ${plan.region}: server ${server.name} (${server.serverId}) in ${plan.project}`,
  );
  if (refusals.length > 0) list('It cannot be adopted', refusals);
  else {
    list('Is imported', plan.imports);
    list('Changes', plan.changes);
    list('Never happens', plan.never);
  }
}

const toLines = (script: string | null): string[] => (script ?? '').trimEnd().split('\n');

const toHostKeyHint = ({ server }: Adoption) =>
  `read it with \`ssh root@${server.ipv4} cat /etc/ssh/ssh_host_ed25519_key.pub\``;

async function isConfirmed({ confirm }: Terminal, { server, agentId }: Adoption): Promise<boolean> {
  if (confirm === undefined) throw new CommandError('Not a terminal: confirm with --yes');
  return confirm(`Make server ${server.name} (${server.serverId}) the agent ${agentId}?`);
}

async function follow(
  terminal: Terminal,
  { operationId, accessScript, server }: Adoption,
  { wait, json }: { wait: boolean; json: boolean },
): Promise<boolean> {
  if (!json) {
    terminal.print(`Run this, so that the service may log in; it waits for that:\n`);
    for (const line of [`ssh root@${server.ipv4} sh -s <<'END'`, ...toLines(accessScript), 'END', ''])
      terminal.print(line);
  }
  const path = { operationId: operationId ?? '' };
  const operation = await answer(terminal.api.GET('/api/operations/{operationId}', { params: { path } }));
  if (!wait) {
    terminal.print(
      `adopt-server of agent ${operation.agentId}: ${operation.status} (operation ${operationId})`,
    );
    return true;
  }
  return (await printEvents(terminal, operation, { follow: true, json })).status === 'succeeded';
}
