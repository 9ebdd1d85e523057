import { z } from 'zod';
import { imageJson } from '../http/images.ts';
import { table } from './table.ts';
import { type Of, printJson, type Terminal } from './terminal.ts';

/** Builds, lists or removes images. */
export function image(command: Of<'image'>, terminal: Terminal): Promise<boolean> {
  switch (command.verb) {
    case 'build':
      return build(command, terminal);
    case 'list':
      return list(command, terminal);
    case 'prune':
      return prune(command, terminal);
  }
}

async function build({ region, json }: Of<'image'>, terminal: Terminal): Promise<boolean> {
  const body = region === undefined ? {} : { region };
  const made = await terminal.client.post('/api/images', imageJson, body);
  if (json) return printJson(terminal, made);
  terminal.print(`${made.imageId} is being built in ${made.location}: npm run agents -- image list`);
  return true;
}

const images = z.object({ items: z.array(imageJson) });

async function list({ json }: Of<'image'>, terminal: Terminal): Promise<boolean> {
  const { items } = await terminal.client.get('/api/images', images);
  if (json) return printJson(terminal, items);
  terminal.print(
    table(
      ['IMAGE', 'STATUS', 'FITS', 'STEP', 'ARCHITECTURE', 'SNAPSHOT', 'GB', 'CREATED', 'ERROR'],
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
    ),
  );
  return true;
}

const pruned = z.object({ removed: z.array(z.string()) });

async function prune({ json }: Of<'image'>, terminal: Terminal): Promise<boolean> {
  const { removed } = await terminal.client.post('/api/images/prune', pruned);
  if (json) return printJson(terminal, removed);
  terminal.print(removed.length === 0 ? 'Nothing to remove.' : `Being removed: ${removed.join(', ')}`);
  return true;
}
