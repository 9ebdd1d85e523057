import { renderDrillUserData } from '../../stacks/drill-user-data.ts';
import { toLabels } from '../../stacks/labels.ts';
import { parseRecordedInputs } from '../agents/inputs.ts';
import type { Vault } from '../agents/secrets.ts';
import { getAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import type { DrillCalls, DrillServer } from '../hetzner/drill-calls.ts';
import type { HetznerClient, Server } from '../hetzner/hetzner.ts';
import { wasRefused } from '../hetzner/refusals.ts';
import { changeDrill, type DrillRow, finishDrill, takeRunning } from './drills.ts';
import { leaveServer, removeLeftServers } from './left-servers.ts';

export interface DrillDeps {
  database: Database;
  /** The client of a Hetzner project. @throws Error for one that this process does not have */
  openProject(name: string): DrillHetzner;
  vault: Pick<Vault, 'open'>;
  /** Whether a server's system can switch it off: simulated ones have none, and only show that they start. */
  switchesItselfOff: boolean;
}

type DrillHetzner = Pick<HetznerClient, 'findServer' | 'findSshKey' | 'deleteServer' | 'getSnapshot'> &
  DrillCalls;
/** With the client of the agent's project. */
type Deps = Omit<DrillDeps, 'openProject'> & { hetzner: DrillHetzner };

const LONGEST_MINUTES = 20;

/**
 * Takes the drill that runs a step further: a server is made from the snapshot behind a firewall that lets
 * nothing in or out, has booted and checked its disk once it has switched itself off, and is deleted. The
 * agent's own server goes on beside it, and nothing of the copy reaches the tailnet.
 *
 * The row is there before the server, and until it is gone. The server's name is the row's id, and what it
 * has shown is recorded before it is deleted: a kill at any line leaves what the next call, of any worker,
 * goes on with. What could not be removed in time is removed by later calls, while other drills go on.
 */
export async function advanceDrill(given: DrillDeps): Promise<void> {
  // A server that has shown what it can is not left standing until the next look: its firewall may be open.
  if (await advanceOnce(given)) await advanceOnce(given);
  await removeLeftServers(given);
}

/** @returns whether the drill has shown something, so that its server is to be removed */
function advanceOnce(given: DrillDeps): Promise<boolean> {
  return given.database.transaction().execute(async (trx) => {
    const drill = await takeRunning(trx);
    if (drill === undefined) return false;
    if (drill.passed !== null) {
      await remove(trx, given, drill);
      return false;
    }
    // Before the project is opened: one out of reach must not hold up the drills of the others.
    const verdict = isOverdue(drill) ? failsLate(drill) : await look(trx, given, drill);
    if (verdict !== undefined) await changeDrill(trx, drill, verdict);
    return verdict !== undefined;
  });
}

type Verdict = { passed: true; error: null } | { passed: false; error: string };
const PASSES: Verdict = { passed: true, error: null };
const fails = (error: string): Verdict => ({ passed: false, error });

async function remove(trx: Transaction, { openProject }: DrillDeps, drill: DrillRow): Promise<void> {
  const { project } = await getAgent(trx, drill.agent_id);
  const tried = await tryToDelete(() => openProject(project), drill);
  if (tried === 'gone') return finishDrill(trx, drill);
  if (tried === 'deleting') return;
  if (!isOverdue(drill)) throw tried.error;
  await leaveServer(trx, drill);
}

/** No query of the transaction is in it: it goes on after an error. */
async function tryToDelete(
  open: () => DrillHetzner,
  { drill_id: name }: DrillRow,
): Promise<'gone' | 'deleting' | { error: unknown }> {
  try {
    const hetzner = open();
    const server = await hetzner.findServer(name);
    if (server === undefined) return 'gone';
    if (server.status !== 'deleting') await hetzner.deleteServer(server.id, { wait: false });
    return 'deleting';
  } catch (error) {
    return { error };
  }
}

const isOverdue = ({ started_at: startedAt }: DrillRow): boolean =>
  Date.now() - startedAt.getTime() > LONGEST_MINUTES * 60_000;

const failsLate = ({ ran_at: ranAt, error }: DrillRow): Verdict =>
  fails(
    ranAt === null
      ? `Its server did not start within ${LONGEST_MINUTES} minutes${error === null ? '' : `: ${error}`}`
      : `Its server did not switch itself off within ${LONGEST_MINUTES} minutes: its system has not booted, the agent's files are not on the disk, or the agent is not healthy there`,
  );

/** @returns what the drill has shown; undefined as long as it has not */
async function look(trx: Transaction, given: DrillDeps, drill: DrillRow): Promise<Verdict | undefined> {
  const { project } = await getAgent(trx, drill.agent_id);
  const deps: Deps = { ...given, hetzner: given.openProject(project) };
  const server = await deps.hetzner.findServer(drill.drill_id);
  if (server !== undefined) return watch(trx, deps, { drill, server });
  if (drill.server_id !== null) return fails('Its server is no longer at Hetzner');
  return order(trx, deps, drill);
}

async function order(trx: Transaction, deps: Deps, drill: DrillRow): Promise<Verdict | undefined> {
  try {
    const firewallId = await deps.hetzner.ensureClosedFirewall();
    const wanted = await toServer(trx, deps, drill);
    if (wanted === undefined) return fails('The snapshot, or what its agent recorded, is gone');
    const serverId = await deps.hetzner.createServer({ ...wanted, firewallId });
    await changeDrill(trx, drill, { server_id: serverId, firewall_id: firewallId, error: null });
    return undefined;
  } catch (error) {
    if (wasRefused(error)) return fails(`Its server was refused: ${errorMessage(error)}`);
    // It may have been made: the next call looks for it.
    await changeDrill(trx, drill, { error: errorMessage(error) });
    return undefined;
  }
}

/** @throws PermanentError if the snapshot was made from another server than its row says */
async function toServer(
  trx: Transaction,
  { hetzner, vault }: Deps,
  { drill_id: name, snapshot_id: snapshotId }: DrillRow,
): Promise<Omit<DrillServer, 'firewallId'> | undefined> {
  const row = await trx
    .selectFrom('agent_snapshots as s')
    .innerJoin('agents as a', 'a.agent_id', 's.agent_id')
    .select(['s.hetzner_id', 's.server_id', 's.secrets'])
    .select(['a.agent_id', 'a.location', 'a.inputs', 'a.server_name'])
    .where('s.snapshot_id', '=', snapshotId)
    .where('s.status', '=', 'available')
    .executeTakeFirst();
  const serverType = parseRecordedInputs(row?.inputs ?? null)?.serverType;
  if (row?.hetzner_id == null || serverType === undefined) return undefined;
  const image = await hetzner.getSnapshot(row.hetzner_id);
  if (image === undefined) return undefined;
  if (image.serverId !== row.server_id)
    throw new PermanentError(
      `snapshot ${image.id} was made from server ${image.serverId}, and was recorded as one of ${row.server_id}`,
    );
  const keys = row.secrets === null ? undefined : vault.open(row.agent_id, row.secrets);
  const hostPublicKeys = keys === undefined ? [] : [keys.hostPublicKey, keys.nextHostPublicKey];
  const sshKey = row.server_name === null ? undefined : await hetzner.findSshKey(row.server_name);
  return {
    ...{ name, serverType, location: row.location, image: row.hetzner_id },
    sshKeyId: sshKey?.id,
    userData: renderDrillUserData({ hostname: name, hostPublicKeys }),
    labels: toLabels({ agentId: name }),
  };
}

/**
 * At every look, because the agent runs on the copy: the one firewall that lets nothing in or out still does
 * so, and no other firewall, whose rules would count as well, is there beside it.
 */
async function watch(
  trx: Transaction,
  { hetzner, switchesItselfOff }: Deps,
  { drill, server }: { drill: DrillRow; server: Server },
): Promise<Verdict | undefined> {
  const closedId = await hetzner.findClosedFirewall();
  // Null: the answer to its order was lost.
  const firewallId = drill.firewall_id ?? closedId ?? null;
  await changeDrill(trx, drill, { server_id: server.id, firewall_id: firewallId, error: null });
  if (closedId === undefined || closedId !== Number(firewallId))
    return fails('The firewall that closes its server was opened, or replaced, at Hetzner');
  if (server.firewallIds.some((id) => id !== closedId) || !server.firewallIds.includes(closedId))
    return fails('Its server was not behind the firewall that closes it, or not behind that one alone');
  // One that boots quickly may be off again before it was seen to run.
  const hasRun =
    server.status === 'running' || (server.status === 'off' && (await hetzner.wasStarted(server.id)));
  if (hasRun && drill.ran_at === null) {
    await changeDrill(trx, drill, { ran_at: new Date() });
    return switchesItselfOff ? undefined : PASSES;
  }
  return server.status === 'off' && drill.ran_at !== null ? PASSES : undefined;
}
