import { readServerNames } from '../../agents/server-names.ts';
import type { Database } from '../../database/connect.ts';
import type { SweepPosition } from '../../database/reconcile-tables.ts';
import { isRecovering } from '../../database/recovering.ts';
import { errorMessage } from '../../errors.ts';
import type { CallWatch } from '../../http-client/exchange.ts';
import type { Log } from '../../log.ts';
import { forgetChangedRecords } from '../records.ts';
import { type Adoption, adoptDevice, CALLS_PER_ADOPTION } from './adopt.ts';
import { reportUnlisted, setAgentSnapshotsAside } from './agent-snapshots.ts';
import { readAgentViews, readJoinNames } from './agent-views.ts';
import { type Budgets, createBudgets } from './budget.ts';
import { compare, explain } from './compare.ts';
import { attributeDevices } from './devices.ts';
import type { CloudView, Finding } from './findings.ts';
import { setForeignServersAside } from './foreign-servers.ts';
import { type GoneServer, type GoneSnapshot, reportGone, reportGoneSnapshot } from './gone.ts';
import { hetznerOf, type SweptClouds, takeInventory } from './inventory.ts';
import { isExpectedKeyCount } from './key-count.ts';
import { keepMismatches, type Unclear } from './mismatches.ts';
import { continueAt } from './position.ts';
import { callsLeft, type Removal, removeFromAgent } from './remove.ts';
import { type Resource, toCarriedName } from './resources.ts';
import { attributeServers, CALLS_PER_MEND, type Mend, mendServer } from './servers.ts';
import { beginSweep, finishSweep, lastSweep, newReport, type SweepReport } from './sweeps.ts';

export interface SweepDeps {
  database: Database;
  /** Creates clients whose calls the watches count. */
  openClouds(watches: { project(name: string): CallWatch; tailscale: CallWatch }): SweptClouds;
  log: Log;
  /** The maximum number of API calls of a sweep in each Hetzner project. */
  maxCalls?: number;
}

const MAX_CALLS = 400;

/**
 * Lists the clouds' resources with our labels and compares them with the rows. Removes those that belong to
 * no live agent, reports unclear ones, and touches no resource of an agent with an operation in progress.
 * @throws the error that ended it early; everything done before is recorded.
 */
export async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<SweepReport> {
  const before = await lastSweep(deps.database);
  const sweepId = await beginSweep(deps.database);
  const budgets = createBudgets(deps.maxCalls ?? MAX_CALLS);
  const report = newReport();
  const known = new Set(before?.findings);
  const say: Say = (agentId, text) => {
    report.findings.push(text);
    // A finding that persists over sweeps is logged once.
    if (!known.has(text)) deps.log.warn({ event: 'sweep.finding', sweepId, agentId }, text);
  };
  try {
    await run(deps, { sweepId, budgets, report, say, start: before?.next ?? null, signal });
  } catch (error) {
    report.note = `It ended early: ${errorMessage(error)}`;
    throw error;
  } finally {
    report.calls = budgets.used;
    await finishSweep(deps.database, sweepId, report);
    tell(deps.log, sweepId, report);
  }
  return report;
}

/** Reports a finding to people; `agentId` is null if the owner is unknown. */
type Say = (agentId: string | null, text: string) => void;

interface Running {
  sweepId: number;
  budgets: Budgets;
  report: SweepReport;
  say: Say;
  /** Null: at the beginning. */
  start: SweepPosition | null;
  signal: AbortSignal;
}

async function run(deps: SweepDeps, running: Running): Promise<void> {
  const { sweepId, budgets, report, say, start, signal } = running;
  const clouds = deps.openClouds(budgets);
  const inventory = await takeInventory(clouds, budgets, {
    start: start?.projects ?? {},
    isExpectedKeyCount: (project, total) => isExpectedKeyCount(deps.database, project, total),
    signal,
  });
  const { cloud, omittedKeys } = inventory;
  for (const [project, error] of inventory.failed)
    say(null, `The Hetzner project ${project} could not be compared: ${errorMessage(error)}`);
  report.listed = cloud.resources.length;
  report.omittedKeys = omittedKeys || start?.omittedKeys === true;
  // Whose things are whose may not be known yet.
  const acts = !(await isRecovering(deps.database));
  const own = await setForeignServersAside(deps.database, cloud);
  const { unlisted, ...others } = await setAgentSnapshotsAside(deps.database, own);
  const { findings, attributed } = await findAll(deps.database, others.cloud);
  const acting = { ...deps, ...clouds, sweepId, budgets, report, say, signal };
  const removed = await removeAll(acting, acts ? findings.filter(isRemoval) : []);
  await adoptAll(acting, acts ? findings.filter(isAdoption) : []);
  await mendAll(acting, acts ? findings.filter(isMend) : []);
  // Until a rebuild has read them, records that differ are newer than the rows.
  if (acts) await forgetChangedRecords(deps.database, listRecords(attributed));
  const reports = findings.filter((finding) => finding.action === 'report');
  await reportAll(acting, reports);
  for (const { agentId, text } of await reportUnlisted(acting, unlisted)) say(agentId, text);
  continueAt(report, inventory, { removed, budgets });
  const seen = { ...running, projects: [...cloud.listed.keys()] };
  await keepMismatches(deps.database, reports.filter(isUnclear), seen);
}

async function findAll(
  database: Database,
  cloud: CloudView,
): Promise<{ findings: Finding[]; attributed: readonly Resource[] }> {
  const devices = cloud.resources.filter((resource) => resource.kind === 'device');
  const joinNames = await readJoinNames(
    database,
    devices.map(({ hostname }) => hostname),
  );
  const serverNames = await readServerNames(database, cloud.resources.map(toCarriedName));
  const agentIds = [
    ...cloud.resources.flatMap(({ agentId }) => agentId ?? []),
    ...joinNames.values(),
    ...serverNames.values(),
  ];
  const serverIds = cloud.resources.flatMap(({ kind, id }) => (kind === 'server' ? [id] : []));
  const addresses = devices.flatMap((device) => device.addresses);
  const agents = await readAgentViews(database, { agentIds, serverIds, addresses });
  const servers = attributeServers(cloud.resources, agents, serverNames);
  const { resources, findings } = attributeDevices(servers, agents, joinNames);
  return { findings: [...compare({ ...cloud, resources }, agents), ...findings], attributed: resources };
}

/** The records in the labels of SSH keys, by the owners of the keys. */
const listRecords = (resources: readonly Resource[]) =>
  resources.flatMap((one) =>
    one.kind === 'ssh-key' && one.agentId !== null
      ? [{ ownerId: one.agentId, digest: one.recordDigest }]
      : [],
  );

type Acting = SweepDeps & SweptClouds & Omit<Running, 'start'>;

/** @returns what was removed */
async function removeAll(deps: Acting, removals: Removal[]): Promise<Removal[]> {
  const { budgets, report, say, signal } = deps;
  const removed: Removal[] = [];
  let postponed = 0;
  for (const [agentId, ofAgent] of Map.groupBy(removals, (removal) => removal.agentId)) {
    signal.throwIfAborted();
    if (ofAgent.every(({ resource }) => callsLeft(budgets, resource) === 0)) {
      postponed += ofAgent.length;
      continue;
    }
    const outcomes = await removeFromAgent(deps, agentId, ofAgent);
    for (const removal of outcomes.removed) {
      removed.push(removal);
      report.removed += 1;
      say(agentId, `Removed: ${explain(removal)}`);
    }
    for (const { removal, error } of outcomes.failed)
      say(agentId, `Could not be removed: ${explain(removal)}: ${error}`);
    postponed += outcomes.postponed.length;
  }
  if (postponed > 0)
    report.note = `The budget of API calls is spent: the next sweep continues with ${postponed} removals`;
  return removed;
}

/**
 * Records the devices of agents from before devices were recorded; a few per sweep if the budget is short.
 */
async function adoptAll(deps: Acting, adoptions: Adoption[]): Promise<void> {
  for (const adoption of adoptions) {
    deps.signal.throwIfAborted();
    if (deps.budgets.left < CALLS_PER_ADOPTION) return;
    try {
      if (await adoptDevice(deps, adoption)) deps.say(adoption.agentId, explain(adoption));
    } catch (error) {
      deps.say(adoption.agentId, `Its device could not be recorded: ${errorMessage(error)}`);
    }
  }
}

async function mendAll(deps: Acting, mends: Mend[]): Promise<void> {
  for (const mend of mends) {
    deps.signal.throwIfAborted();
    if (deps.budgets.of(mend.project).left < CALLS_PER_MEND) continue;
    try {
      const text = await mendServer(inProjectOf(deps, mend), mend);
      if (text !== undefined) deps.say(mend.agentId, text);
    } catch (error) {
      deps.say(mend.agentId, `${explain(mend)}, and it could not be restored: ${errorMessage(error)}`);
    }
  }
}

async function reportAll(deps: Acting, findings: Report[]): Promise<void> {
  for (const finding of findings) {
    deps.signal.throwIfAborted();
    if (!isGone(finding)) deps.say(finding.resource.agentId, explain(finding));
    else if (deps.budgets.of(finding.project).left > CALLS_PER_MEND) {
      const there = inProjectOf(deps, finding);
      const text =
        finding.reason === 'server-gone'
          ? await reportGone(there, finding)
          : await reportGoneSnapshot(there, finding);
      if (text !== undefined) deps.say(finding.agentId, text);
    }
  }
}

/** What acts on a finding in one Hetzner project needs. */
const inProjectOf = (deps: Acting, { project }: { project: string }) => ({
  database: deps.database,
  hetzner: hetznerOf(deps, project),
});

type Report = Extract<Finding, { action: 'report' }>;

const isRemoval = (finding: Finding): finding is Removal => finding.action === 'remove';
const isAdoption = (finding: Finding): finding is Adoption => finding.action === 'adopt';
const isMend = (finding: Finding): finding is Mend => finding.action === 'mend';
const isUnclear = (finding: Report): finding is Unclear => !isGone(finding);
const isGone = (finding: Finding): finding is GoneServer | GoneSnapshot =>
  finding.reason === 'server-gone' || finding.reason === 'snapshot-gone';

function tell(log: Log, sweepId: number, report: SweepReport): void {
  const { findings, ...counts } = report;
  log.info(
    { event: 'sweep.ends', sweepId, ...counts, findings: findings.length },
    `the sweep compared ${report.listed} and removed ${report.removed}${report.note === null ? '' : `. ${report.note}`}`,
  );
}
