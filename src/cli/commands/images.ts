import { string } from '@optique/core/valueparser';
import { defineCommand, json, text, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { answer, printJson, printTable, type Terminal } from '../terminal.ts';

export const image = defineCommand({
  name: 'image',
  brief: 'images that new servers start from: list, build, prune',
  detail:
    'list: images and their builds. build: an image with this version of the playbook. prune: removes those that no new server is made from.',
  examples: [
    'image list',
    'image build --location eu-central',
    'image build --project us --location us-east',
    'image prune',
  ],
  fields: {
    verb: verbOf(['list', 'build', 'prune']),
    location: text('--location', string({ metavar: 'LOCATION' }), 'where its server is made, with build'),
    project: text(
      '--project',
      string({ metavar: 'PROJECT' }),
      'the Hetzner project whose servers are made from it, with build',
    ),
    ...json,
  },
  run: async ({ verb, location, project, json: asJson }, terminal) => {
    if ((location ?? project) !== undefined && verb !== 'build')
      throw new UsageError(`image ${verb} takes no --location and no --project.`);
    if (verb === 'build') return build({ region: location, project }, asJson, terminal);
    return verb === 'list' ? list(asJson, terminal) : prune(asJson, terminal);
  },
});

async function build(
  { region, project }: { region: string | undefined; project: string | undefined },
  asJson: boolean,
  terminal: Terminal,
): Promise<true> {
  const body = { ...(region !== undefined && { region }), ...(project !== undefined && { project }) };
  const made = await answer(terminal.api.POST('/api/images', { body }));
  if (asJson) return printJson(terminal, made);
  terminal.print(`${made.imageId} is being built in ${made.location}: npm run agents -- image list`);
  return true;
}

async function list(asJson: boolean, terminal: Terminal): Promise<true> {
  const { items } = await answer(terminal.api.GET('/api/images'));
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) terminal.print('There is no image: npm run agents -- image build makes one.');
  else
    printTable(
      terminal,
      [
        'IMAGE',
        'STATUS',
        'FITS',
        { name: 'STEP', droppable: 3 },
        { name: 'ARCHITECTURE', droppable: 2 },
        { name: 'SNAPSHOT', droppable: 5 },
        { name: 'GB', droppable: 4 },
        { name: 'CREATED', droppable: 1 },
        'ERROR',
      ],
      items.map((one) => [
        one.imageId,
        one.status,
        one.fits ? 'yes' : 'no',
        one.step,
        one.architecture,
        one.snapshotId,
        one.sizeGb === null ? null : one.sizeGb.toFixed(2),
        one.createdAt.slice(0, 19),
        one.error,
      ]),
    );
  return true;
}

async function prune(asJson: boolean, terminal: Terminal): Promise<true> {
  const { removed } = await answer(terminal.api.POST('/api/images/prune'));
  if (asJson) return printJson(terminal, removed);
  terminal.print(removed.length === 0 ? 'Nothing to remove.' : `Being removed: ${removed.join(', ')}`);
  return true;
}
