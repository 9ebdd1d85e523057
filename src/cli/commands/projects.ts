import { optional } from '@optique/core/modifiers';
import { argument } from '@optique/core/primitives';
import { string } from '@optique/core/valueparser';
import { answer } from '../../../client/client.ts';
import type { ProjectJson } from '../../http/project-json.ts';
import { defineCommand, json, toText, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';

export const projects = defineCommand({
  name: 'projects',
  brief: 'Hetzner projects among which agents are placed: list, drain, undrain',
  detail:
    'drain: no agent and no waiting server comes into it any more; its agents live on, and its waiting servers are removed.',
  examples: ['projects list', 'projects drain eu', 'projects undrain eu'],
  fields: {
    verb: verbOf(['list', 'drain', 'undrain']),
    project: optional(
      argument(string({ metavar: 'PROJECT' }), { description: toText('with drain and undrain') }),
    ),
    ...json,
  },
  run: async ({ verb, project, json: asJson }, terminal) => {
    if (verb === 'list') {
      if (project !== undefined) throw new UsageError('projects list takes no project.');
      return list(asJson, terminal);
    }
    if (project === undefined) throw new UsageError(`Which project? projects ${verb} PROJECT`);
    return change(verb, project, asJson, terminal);
  },
});

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const { items } = await answer(terminal.api.GET('/api/projects'));
  if (asJson) return printJson(terminal, items);
  printTable(
    terminal,
    [
      'PROJECT',
      'STATE',
      { name: 'LOCATIONS', droppable: 1 },
      'AGENTS',
      { name: 'SLOTS', droppable: 3 },
      { name: 'IMAGES', droppable: 4 },
      'SNAPSHOTS',
      { name: 'DRILLS', droppable: 5 },
      { name: 'SERVERS', droppable: 2 },
    ],
    items.map((one) => [
      one.name,
      stateOf(one),
      one.locations?.join(' ') ?? 'all',
      String(one.agents),
      String(one.slots),
      String(one.images),
      String(one.snapshots),
      String(one.drills),
      one.mostServers === null ? String(one.servers) : `${one.servers} of ${one.mostServers}`,
    ]),
  );
  return true;
}

function stateOf({ configured, drainingSince, fullUntil }: ProjectJson): string {
  if (!configured) return 'not configured';
  if (drainingSince !== null) return 'draining';
  return fullUntil === null ? 'open' : 'full';
}

async function change(
  verb: 'drain' | 'undrain',
  name: string,
  asJson: boolean,
  terminal: Terminal,
): Promise<true> {
  const options = { params: { path: { name } } };
  const now = await answer(
    verb === 'drain'
      ? terminal.api.POST('/api/projects/{name}/drain', options)
      : terminal.api.POST('/api/projects/{name}/undrain', options),
  );
  if (asJson) return printJson(terminal, now);
  terminal.print(
    verb === 'drain'
      ? `${name} is being drained: nothing new comes into it. ${now.agents} agents live on in it, ${now.slots} waiting servers are removed.`
      : `${name} takes new agents again.`,
  );
  return true;
}
