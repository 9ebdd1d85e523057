import { setTimeout as sleep } from 'node:timers/promises';
import { option } from '@optique/core/primitives';
import { string } from '@optique/core/valueparser';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, text, toText, verbOf, waiting } from '../command.ts';
import { UsageError } from '../connection.ts';
import { answer, printJson, printTable, type Terminal } from '../terminal.ts';
import { getRequestable, requestConfirmed } from './operations.ts';

export const snapshots = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'snapshots',
    brief: 'snapshots of an agent’s disk beside its server: list, make, restore, drill, remove',
    detail:
      'list: those that exist. make: another one now, as `snapshot` does. restore: puts the agent back to one, as `revert` does; everything since then is lost. drill: makes a server from the newest, closed to everything, to show that it boots. remove: deletes one for good.',
    examples: [
      'snapshots list ada',
      'snapshots make ada --wait',
      'snapshots restore ada --snapshot 8d2f0a1c-4f5e-4a55-9d5e-6f0f5b1c2d3e --wait',
      'snapshots remove ada --snapshot 8d2f0a1c-4f5e-4a55-9d5e-6f0f5b1c2d3e',
    ],
    fields: {
      verb: verbOf(['list', 'make', 'restore', 'drill', 'remove']),
      agentId: agent,
      snapshot: text('--snapshot', string({ metavar: 'ID' }), 'which one, with restore and remove'),
      yes: option('-y', '--yes', { description: toText('do not ask first, with restore') }),
      ...waiting,
    },
    run: async ({ verb, agentId, snapshot, yes, ...common }, terminal) => {
      const isOne = verb === 'restore' || verb === 'remove';
      if ((snapshot !== undefined) !== isOne)
        throw new UsageError(`snapshots ${verb} ${isOne ? 'needs' : 'takes no'} --snapshot.`);
      if (common.wait && (verb === 'list' || verb === 'remove'))
        throw new UsageError(`snapshots ${verb} takes no --wait.`);
      if (verb === 'list') return list(agentId, common.json, terminal);
      if (verb === 'drill') return drill(agentId, common, terminal);
      if (verb === 'remove') return remove({ agentId, snapshotId: snapshot! }, common.json, terminal);
      const operation = getRequestable(verb === 'make' ? 'snapshot' : 'revert');
      const body = snapshot === undefined ? {} : { snapshot };
      return requestConfirmed(operation, { agentId, body, yes, ...common }, terminal);
    },
  });

async function list(agentId: string, asJson: boolean, terminal: Terminal): Promise<true> {
  const params = { path: { agentId } };
  const { items } = await answer(terminal.api.GET('/api/agents/{agentId}/snapshots', { params }));
  if (asJson) return printJson(terminal, items);
  if (items.length === 0) terminal.print(`There is no snapshot of ${agentId}: snapshots make ${agentId}`);
  else
    printTable(
      terminal,
      [
        'SNAPSHOT',
        'MADE',
        'WHY',
        'STATUS',
        { name: 'GB', droppable: 1 },
        { name: 'HETZNER', droppable: 2 },
        { name: 'UNTIL', droppable: 3 },
        'ERROR',
      ],
      items.map((one) => [
        one.snapshotId,
        one.madeAt.slice(0, 19),
        one.why,
        one.status,
        one.sizeGb?.toFixed(2) ?? null,
        one.hetznerId,
        one.deleteAfter?.slice(0, 19) ?? null,
        one.error,
      ]),
    );
  return true;
}

const POLL_MS = 2_000;

/** Ctrl-C leaves it to the service, which takes it to its end. @returns whether it succeeded, if awaited */
async function drill(
  agentId: string,
  { json: asJson, wait }: { json: boolean; wait: boolean },
  terminal: Terminal,
): Promise<boolean> {
  const params = { path: { agentId } };
  let now = await answer(terminal.api.POST('/api/agents/{agentId}/snapshot-drill', { params }));
  if (!asJson)
    terminal.print(`${now.drillId} begins, with the snapshot of ${now.snapshotMadeAt.slice(0, 19)}.`);
  while (wait && now.status === 'running') {
    await sleep(POLL_MS);
    const { items } = await answer(terminal.api.GET('/api/snapshot-drills'));
    now = items.find((one) => one.drillId === now.drillId) ?? now;
  }
  if (asJson) printJson(terminal, now);
  else if (wait) terminal.print(now.error === null ? 'It succeeded.' : `It failed: ${now.error}`);
  return now.status !== 'failed' && now.status !== 'cancelled';
}

/** The agent is named too, so that a wrong id does not delete another one's. */
async function remove(
  { agentId, snapshotId }: { agentId: string; snapshotId: string },
  asJson: boolean,
  terminal: Terminal,
): Promise<true> {
  const params = { path: { agentId } };
  const { items } = await answer(terminal.api.GET('/api/agents/{agentId}/snapshots', { params }));
  if (!items.some((one) => one.snapshotId === snapshotId))
    throw new UsageError(`${snapshotId} is no snapshot of ${agentId}.`);
  const removed = await answer(
    terminal.api.DELETE('/api/snapshots/{snapshotId}', { params: { path: { snapshotId } } }),
  );
  if (asJson) return printJson(terminal, removed);
  terminal.print(`Snapshot ${snapshotId} of ${agentId} is being removed.`);
  return true;
}
