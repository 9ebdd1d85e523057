import { toServerName } from '../../stacks/inputs.ts';
import type { Survey, SurveyedProject } from './survey.ts';

interface Row {
  agent_id: string;
  server_id: string | null;
  snapshot_id: string | null;
  inputs: unknown;
}

/** Whether the lists of Hetzner have something of an agent. */
export type Left = (row: Row) => boolean;

/** Its server, by id or name, its snapshot, or its SSH key, which lasts as long as the agent. */
export function leftFinder(survey: Pick<Survey, 'servers' | 'sshKeys' | 'snapshots'>): Left {
  const servers = new Set(survey.servers.flatMap(({ id, name }) => [id, name]));
  const keys = new Set(survey.sshKeys.map(({ name }) => name));
  const snapshots = new Set(survey.snapshots.map(({ id }) => id));
  return (row) => {
    const name = nameOf(row);
    const hasServer = servers.has(row.server_id ?? '') || servers.has(name) || keys.has(name);
    return hasServer || snapshots.has(row.snapshot_id ?? '');
  };
}

/** Asks for what has lost its labels, which no list has. @returns what there is, for people */
export async function findUnlisted(hetzner: SurveyedProject, row: Row): Promise<string | undefined> {
  const name = nameOf(row);
  const { server_id: serverId, snapshot_id: snapshotId } = row;
  const server =
    (serverId === null ? undefined : await hetzner.getServer(serverId)) ?? (await hetzner.findServer(name));
  if (server !== undefined) return `its server ${server.name} (${server.id}) exists without our labels`;
  if ((await hetzner.findSshKey(name)) !== undefined) return `its SSH key ${name} exists without our labels`;
  if (snapshotId !== null && (await hetzner.getSnapshot(snapshotId)) !== undefined)
    return `its snapshot ${snapshotId} exists without our labels`;
  return undefined;
}

/** The name of its server and SSH key. */
function nameOf({ agent_id: agentId, inputs }: Pick<Row, 'agent_id' | 'inputs'>): string {
  const { serverName } = (inputs ?? {}) as { serverName?: string };
  return toServerName({ agentId, serverName });
}
