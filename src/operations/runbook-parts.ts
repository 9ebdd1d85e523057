import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Made } from '../agents/agent-record.ts';
import type { Vault } from '../agents/secrets.ts';
import type { SnapshotSeal } from '../agents/snapshot-seal.ts';
import type { MadeSnapshot } from '../agents/snapshots.ts';
import type { AgentRow } from '../agents/store.ts';
import type { PlanServers } from '../config/plans.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import type { ClaimedSlot } from '../slots/claimed.ts';
import type { Admission } from '../tailnet/admission/admission.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';
import type { HandOver } from '../tailnet/hand-over.ts';
import type { TailscaleClient } from '../tailscale/tailscale.ts';
import type { Attempt } from './attempt.ts';

/** Settings that are the same for all agents of this installation. */
export interface ProvisionSettings {
  healthPort: number;
  /** The version of the playbook. */
  configurationVersion: string;
  joinTimeoutSeconds: number;
  healthTimeoutSeconds: number;
  loginServer: string | undefined;
  /** How often the provider polls an action at Hetzner, as a Go duration; default: the provider's own. */
  pollInterval: string | undefined;
  /** The servers of plans that the operator has described. */
  planServers?: PlanServers;
}

/** Records in the agent's row what is about to be created. The vault has sealed `secrets`. */
export type RecordInputs = (
  run: Attempt,
  prepared: { inputs: AgentInputs; secrets: Buffer },
) => Promise<void>;

/** Records the verified snapshot for which the agent's server is about to be deleted; null: none. */
export type RecordSnapshot = (run: Attempt, snapshotId: string | null) => Promise<void>;

/** The last snapshots of agents that are destroyed, beside the database. */
export interface LastSnapshotParts {
  /**
   * Records that one is about to be made, if the agent's plan has one. `keptId`: Hetzner's id of the one that
   * an earlier attempt or destroy has kept. @throws LostError
   */
  begin(run: Attempt): Promise<LastSnapshot>;
  /** Records the complete one, before anything of the agent is deleted. @throws LostError */
  keep(run: Attempt, made: MadeSnapshot): Promise<void>;
  /** Ends the restore drill with a snapshot of the agent. @returns its id until its server is gone */
  endDrill(run: Attempt): Promise<string | undefined>;
}

export interface LastSnapshot {
  isWanted: boolean;
  keptId?: string | undefined;
  /** Of the restore drill that was ended, until its server is gone; told to runners. */
  drillId?: string | undefined;
}

/** The snapshots of agents, beside the database. */
export interface AgentSnapshotParts {
  /** Returns the attempt's agent's complete snapshot; undefined if there is none with this id. */
  find(run: Attempt, snapshotId: string): Promise<KnownSnapshot | undefined>;
}

export interface KnownSnapshot {
  hetznerId: string;
  /** The server that it was made from, as it was recorded then. */
  serverId: string | null;
  /** The device whose identity is on its disk. */
  tailnetNodeId: string | null;
  /** The agent's sealed keys of then; a runner gets none. */
  secrets?: Buffer | undefined;
}

/** The slots of agents, beside the database. */
export interface SlotParts {
  /** The slot that the attempt's agent has claimed and not adopted yet. */
  find(run: Attempt): Promise<ClaimedSlot | undefined>;
  /** The id of the slot whose stack is not the agent's yet; undefined if there is none. */
  findUnadopted(run: Attempt): Promise<string | undefined>;
  /** Makes the slot's inputs, keys and names the agent's. @throws LostError */
  takeOver(run: Attempt, taken: { slotId: string; inputs: AgentInputs; secrets: Buffer }): Promise<void>;
  /** Takes the slot away from the agent, which does not run on it yet. @throws LostError */
  giveUp(run: Attempt, why: string): Promise<void>;
  /** Gives the server its agent. */
  handOver: HandOver;
  /** Whether this process can reach servers at all. While it cannot, no slot is to blame. */
  canReach(): Promise<boolean>;
  /**
   * Removes slots for the operations that wait in a full project. @returns whether a place is or can be freed
   * @throws LostError
   */
  makeRoom(run: Attempt): Promise<boolean>;
}

/** The Hetzner projects beside the one of an agent, beside the database. */
export interface ProjectParts {
  /** Hetzner has refused the agent's project a server: for a while new agents prefer others. */
  markFull(run: Attempt): Promise<void>;
  /** The project that takes the agent if its own is full; undefined if that has room, or no other has. */
  findOther(run: Attempt): Promise<string | undefined>;
  /**
   * Makes it the agent's, and forgets what was recorded for the former one.
   * @throws LostError; ShortageError if it has no room any more
   */
  move(run: Attempt, to: string): Promise<void>;
}

/** The images that new servers may be made from. They are named by Hetzner's ids of their snapshots. */
export interface ImageParts {
  /** The newest one that is configured with this version of the playbook and fits the server type. */
  find(wanted: { project: string; version: string; serverType: string }): Promise<string | undefined>;
  /** Whether servers are still made from it. One that a server's row names is not removed. */
  isUsable(snapshotId: string): Promise<boolean>;
  /** No further server is made from it, and the operator is told why. */
  markBad(snapshotId: string, why: string): Promise<void>;
  /**
   * A server of it, that of the owner, did not join. It may have been the server or the tailnet: the second
   * owner's marks the image bad. @returns whether it is bad now
   */
  doubt(snapshotId: string, doubt: { ownerId: string; why: string }): Promise<boolean>;
}

/** The calls of runbooks in one Hetzner project. */
export type ProjectClient = Omit<HetznerClient, 'serverPage' | 'sshKeyPage' | 'snapshotPage'>;

/** The dependencies of runbooks, in a worker beside the database or on a runner that calls the service. */
export interface RunbookParts {
  /** The project in which the work is. Only the sweep reads whole lists, page by page. */
  hetzner: ProjectClient;
  /** Opens a project's client; without it there is one. @throws ShortageError for an unknown project */
  openProject?: (project: string) => ProjectClient;
  /** The Hetzner projects that this process has; default: all. */
  ownProjects?: readonly string[];
  tailscale: TailscaleClient;
  executor: StackEngine;
  state: StateStore;
  health: HealthCheck;
  vault: Vault;
  settings: ProvisionSettings;
  /** Creates the resources that a project's agents share, if missing. @returns the firewall's id */
  ensureFoundation(run: Attempt, project: string): Promise<number>;
  recordInputs: RecordInputs;
  recordSnapshot: RecordSnapshot;
  /** Absent where nothing is destroyed that has data, such as slots. */
  lastSnapshots?: LastSnapshotParts;
  /** Absent where no agent is put back. */
  agentSnapshots?: AgentSnapshotParts;
  /** Seals what has to survive of an agent whose server is about to be made; undefined: nothing has. */
  sealNew?: (agent: AgentRow, made: Made) => Promise<Record<string, string> | undefined>;
  /** Seals in the labels of a new snapshot whose disk it holds; absent where no agent has any. */
  snapshotSeal?: Pick<SnapshotSeal, 'seal'>;
  /** The slots that agents have claimed. A runner hands none over. */
  slots?: SlotParts;
  /** Where an agent of a full project may go; absent where a slot or an image is made. */
  projects?: ProjectParts;
  /** The images of configured disks; absent on a runner, and where an image is made. */
  images?: ImageParts;
  /** How servers that were made by hand are let in; absent on a runner. */
  admission?: Admission;
  /** How long an attempt waits until a server that was made by hand lets it in; default a minute. */
  accessSeconds?: number;
  /** Gives the stack of a slot that the agent has not adopted yet the agent's name. */
  takeStackOver?: (run: Attempt) => Promise<void>;
  /** Names new servers; default: random names. */
  newServerName?: (agentId: string) => string;
  /** How long a system may take to shut down before its power is cut; default a minute. */
  shutdownSeconds?: number;
  /** How long deleted resources may take to disappear at a cloud; default a minute. */
  goneWithinSeconds?: number;
}

/** The parts for work in a Hetzner project. @throws ShortageError if this process does not know it */
export function inProject(parts: RunbookParts, project: string): RunbookParts {
  return { ...parts, hetzner: parts.openProject?.(project) ?? parts.hetzner };
}
