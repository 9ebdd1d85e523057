import { agentName } from '../../stacks/inputs.ts';
import { readLabels } from '../../stacks/labels.ts';
import { type CloudRecord, openRecord } from '../agents/cloud-record.ts';
import type { RecordSeal } from '../agents/record-seal.ts';
import { errorMessage } from '../errors.ts';
import type { HetznerClient, Page, Server, Snapshot, SshKey } from '../hetzner/hetzner.ts';
import type { TailnetDevice, TailscaleClient } from '../tailscale/tailscale.ts';

/** Lists find what carries our labels; the other calls what has lost them. */
export type SurveyedProject = Pick<
  HetznerClient,
  'serverPage' | 'sshKeyPage' | 'snapshotPage' | 'getServer' | 'findServer' | 'findSshKey' | 'getSnapshot'
>;

export interface SurveyedClouds {
  /** The Hetzner projects by name. */
  projects: ReadonlyMap<string, SurveyedProject>;
  tailscale: Pick<TailscaleClient, 'listDevices'>;
}

/** With the Hetzner project that it is in. */
export type Placed<T> = T & { project: string };

/** Everything that carries our labels, and the tailnet's devices. */
export interface Survey {
  servers: Placed<Server>[];
  sshKeys: Placed<SshKey>[];
  snapshots: Placed<Snapshot>[];
  devices: TailnetDevice[];
}

/**
 * Reads whole lists, 50 a page. Changes nothing.
 * @throws the error of the first project that cannot be read: what is in it would seem to be gone
 */
export async function takeSurvey({ projects, tailscale }: SurveyedClouds): Promise<Survey> {
  const survey: Survey = { servers: [], sshKeys: [], snapshots: [], devices: await tailscale.listDevices() };
  for (const [project, hetzner] of projects) {
    const placed = <T>(items: T[]) => items.map((item) => ({ ...item, project }));
    survey.servers.push(...placed(await readAll((page) => hetzner.serverPage(page))));
    survey.sshKeys.push(...placed(await readAll((page) => hetzner.sshKeyPage(page))));
    survey.snapshots.push(...placed(await readAll((page) => hetzner.snapshotPage(page))));
  }
  return survey;
}

/** A page that moves while it is read can name a resource twice. */
async function readAll<T extends { id: string }>(read: (page: number) => Promise<Page<T>>): Promise<T[]> {
  const items = new Map<string, T>();
  let next: number | null = 1;
  while (next !== null) {
    const page: Page<T> = await read(next);
    for (const item of page.items) items.set(item.id, item);
    next = page.nextPage;
  }
  return [...items.values()];
}

/** What the labels of an SSH key say about its owner. */
export type Opened = { key: Placed<SshKey> } & ({ record: CloudRecord } | { problem: string });

/** Opens the record of each key. One that cannot be opened says why, for people. */
export function openRecords(seal: RecordSeal, sshKeys: readonly Placed<SshKey>[]): Promise<Opened[]> {
  const open = async (key: Placed<SshKey>): Promise<Opened> => {
    try {
      const record = await openRecord(seal, key.name, key.labels);
      if (record === undefined) return { key, problem: 'has no record in its labels' };
      if (record.inputs.sshPublicKey !== essence(key.publicKey))
        return { key, problem: 'is not the key that its record is of' };
      if (record.inputs.project !== key.project)
        return {
          key,
          problem: `is in the Hetzner project ${key.project}, and its record is of ${record.inputs.project}`,
        };
      return { key, record };
    } catch (error) {
      return { key, problem: `has a record that cannot be read: ${errorMessage(error)}` };
    }
  };
  return Promise.all(sshKeys.map(open));
}

/** Type and key, without a comment. */
const essence = (publicKey: string) => publicKey.trim().split(/\s+/).slice(0, 2).join(' ');

/** The owner that a resource's labels name. Anybody who can write to the project can set them. */
export const labelledFor = ({ labels }: Pick<SshKey, 'labels'>): string | null => readLabels(labels).agentId;

/** Whether something there names the agent: its record, a label, or its device on the tailnet. */
export function nameFinder(survey: Survey, opened: readonly Opened[]): (agentId: string) => boolean {
  const labelled = [...survey.servers, ...survey.sshKeys, ...survey.snapshots].map(labelledFor);
  const ids = new Set(labelled);
  for (const one of opened) if ('record' in one) ids.add(one.record.id);
  const devices = new Set(survey.devices.map(({ name }) => name.split('.')[0]));
  return (agentId) => ids.has(agentId) || devices.has(agentName(agentId));
}
