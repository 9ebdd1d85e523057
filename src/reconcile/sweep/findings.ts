import type { AgentStatus } from '../../agents/states.ts';
import type { Resource } from './resources.ts';

/** The parts of an agent's rows that the comparison needs. */
export interface AgentView {
  agentId: string;
  /** The Hetzner project of what it has. */
  project: string;
  status: AgentStatus;
  /** The names of its servers and keys that do not follow from its id. */
  serverNames: string[];
  serverId: string | null;
  /** The recorded snapshot, if any: what is kept in place of a hibernated agent's server. */
  snapshotId: string | null;
  /** The server of which the recorded snapshot was made may have run since. */
  isSnapshotOutdated: boolean;
  tailnetIp: string | null;
  /** The recorded id of its device, if any. */
  nodeId: string | null;
  /**
   * The provision that made its resources, and the generation of its tailnet key; null before the first one.
   */
  operationId: string | null;
  keyGeneration: number | null;
  /** The shared firewall of its server; null before the first provision. */
  firewallId: number | null;
  /** An operation on it is queued or active. */
  unfinished: boolean;
  /** The last provision or rebuild failed, so the row may not name the resources in use. */
  lastBuildFailed: boolean;
}

/** The contents of the clouds' lists. */
export interface CloudView {
  resources: Resource[];
  /** What was listed of each Hetzner project; one that did not answer is not there. */
  listed: ReadonlyMap<string, ListedProject>;
}

export interface ListedProject {
  /**
   * All servers with ids above `after` and up to `upTo` are among the resources; null: servers were not
   * listed.
   */
  serverRange: { after: number; upTo: number } | null;
  /** Whether all snapshots are among the resources. */
  listsAllSnapshots: boolean;
}

export type RemovalReason = 'destroyed' | 'rolled-back' | 'earlier-attempt' | 'hibernated';
export type ReportReason = 'unknown-agent' | 'nothing-under-way' | 'not-ours' | 'own-unclear' | 'half-woken';

export type Verdict =
  | { action: 'keep' }
  | { action: 'remove'; reason: RemovalReason }
  | { action: 'report'; reason: ReportReason };

export type DeviceResource = Extract<Resource, { kind: 'device' }>;

/** Findings about devices whose agent is known. */
export type DeviceFinding =
  /** Its agent is from before devices were recorded. */
  | { action: 'adopt'; reason: 'unrecorded'; agentId: string; resource: DeviceResource }
  | { action: 'report'; reason: 'renamed'; agentId: string; resource: DeviceResource }
  | {
      action: 'report';
      reason: 'address-shared';
      agentId: string;
      sharers: string[];
      resource: DeviceResource;
    };

export type Finding =
  | { action: 'remove'; reason: RemovalReason; agentId: string; resource: Resource }
  | { action: 'report'; reason: ReportReason; resource: Resource }
  | { action: 'report'; reason: 'server-gone'; agentId: string; project: string; serverId: string }
  | { action: 'report'; reason: 'snapshot-gone'; agentId: string; project: string; snapshotId: string }
  | { action: 'mend'; reason: 'server-incomplete'; agentId: string; project: string; serverId: string }
  | DeviceFinding;
