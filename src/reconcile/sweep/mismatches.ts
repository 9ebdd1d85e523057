import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import type { SweepPosition } from '../../database/reconcile-tables.ts';
import { cutText, jsonText } from '../../database/storable.ts';
import { queueNotice } from '../../notices/queue-notice.ts';
import { explain } from './compare.ts';
import type { DeviceFinding, Finding, ReportReason } from './findings.ts';
import { toName } from './resources.ts';
import type { SweepReport } from './sweeps.ts';

/** What the sweep leaves to a person, besides what is gone: that makes its agent unhealthy. */
export type Unclear = Extract<Finding, { action: 'report'; resource: unknown }>;

type Reason = ReportReason | Extract<DeviceFinding, { action: 'report' }>['reason'];

const LOOK = 'Look at it in the console of Hetzner or Tailscale.';

const CURES: Record<Reason, string> = {
  'unknown-agent': `${LOOK} The service has no row of its owner, so it touches nothing: delete it there if nobody needs it, or take our labels off if it is not ours. It is billed until then.`,
  'nothing-under-way': `${LOOK} Destroy the agent, which removes it, or retry its provision, which takes it over.`,
  'not-ours': `${LOOK} Take our labels off if it is yours, or delete it there. The service touches nothing that it did not make.`,
  'own-unclear': `${LOOK} Keep the one that the agent uses and delete the other there, then press Refresh on the agent’s page.`,
  'half-woken': 'Retry the wake of the agent, which takes it over.',
  renamed:
    'Press Refresh on the agent’s page. If the name comes back, look on the agent’s server what sets it.',
  'address-shared': `${LOOK} Two agents claim one address: compare the devices with the agents’ pages and delete the device that is not theirs.`,
};

interface Mismatch {
  key: string;
  reason: Reason;
  name: string;
  /** What its labels say: nobody may have that id, or a server that waits for its agent. */
  ownerId: string | null;
  /** Its Hetzner project; null for what is on the tailnet. */
  project: string | null;
  cause: string;
  cure: string;
}

const LONGEST_KEY = 600;
const LONGEST_TEXT = 2_000;

interface Seen {
  sweepId: number;
  report: SweepReport;
  /** Null: the sweep began a cycle. */
  start: SweepPosition | null;
  /** The Hetzner projects that were listed. */
  projects: readonly string[];
}

/**
 * Stores the mismatches, and after a whole cycle removes those that it has not seen. If that fails, the next
 * sweep goes on all the same, in a cycle that removes none: some are stored as seen too long ago.
 */
export async function keepMismatches(
  database: Database,
  unclear: readonly Unclear[],
  { sweepId, report, start, projects }: Seen,
): Promise<void> {
  const cycle = start === null ? sweepId : start.cycle;
  await storeMismatches(database, unclear, { sweepId, cycle: cycle ?? sweepId });
  if (report.next !== null) report.next = { ...report.next, cycle };
  else if (cycle !== undefined)
    await forgetMismatches(database, { cycle, projects, omittedKeys: report.omittedKeys });
}

/**
 * Keeps what a sweep could not decide, for people to see, and tells the operator what is new: one notice a
 * reason, because an installation that shares its clouds with another one finds thousands at once.
 */
async function storeMismatches(
  database: Database,
  unclear: readonly Unclear[],
  { sweepId, cycle }: { sweepId: number; cycle: number },
): Promise<void> {
  // A page that moves while it is read can name a resource twice.
  const mismatches = new Map(unclear.map(toMismatch).map((one) => [one.key, one]));
  if (mismatches.size === 0) return;
  await database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ now: Date }>`select business_now() as now`.execute(trx);
    const { now } = rows[0]!;
    const known = await readKnown(trx, [...mismatches.keys()]);
    await upsertAll(trx, [...mismatches.values()], { now, cycle });
    const fresh = [...mismatches.values()].filter(({ key }) => !known.has(key));
    for (const [reason, found] of Map.groupBy(fresh, (one) => one.reason))
      await tell(trx, found, { key: `sweep ${sweepId} ${reason}`, now });
  });
}

/**
 * Removes what the whole cycle has not seen, except SSH keys if it did not list them, and what is in a
 * configured Hetzner project that was not listed: its token is refused, or this process does not have it yet.
 */
async function forgetMismatches(
  database: Database,
  { cycle, projects, omittedKeys }: { cycle: number; projects: readonly string[]; omittedKeys: boolean },
): Promise<void> {
  await database
    .deleteFrom('findings')
    .where('source', '=', SOURCE)
    .where((where) => where.or([where('seen_in', 'is', null), where('seen_in', '<', cycle)]))
    .where(
      sql<boolean>`not exists (select 1 from hetzner_projects p where p.name = findings.project
        and p.rank is not null and p.name <> all(${[...projects]}::text[]))`,
    )
    .$if(omittedKeys, (query) => query.where('key', 'not like', '% ssh-key %'))
    .execute();
}

const SOURCE = 'sweep';

async function readKnown(trx: Transaction, keys: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ key: string }>`
    select key from findings where source = ${SOURCE} and key = any(${[...keys]}::text[])`.execute(trx);
  return new Set(rows.map(({ key }) => key));
}

async function upsertAll(
  trx: Transaction,
  mismatches: readonly Mismatch[],
  { now, cycle }: { now: Date; cycle: number },
): Promise<void> {
  await sql`
    insert into findings (source, key, class, agent_id, project, cause, cure, since, seen_in)
    select ${SOURCE}, f.key, 'mismatch', a.agent_id, f.project, f.cause, f.cure, ${now}::timestamptz, ${cycle}::bigint
    from jsonb_to_recordset(${jsonText([...mismatches])}::jsonb) as f(key text, "ownerId" text, project text, cause text, cure text)
      left join agents a on a.agent_id = f."ownerId"
    on conflict (source, key) do update
      set agent_id = excluded.agent_id, project = excluded.project, cause = excluded.cause, cure = excluded.cure, seen_in = excluded.seen_in`.execute(
    trx,
  );
}

const NAMES_TOLD = 10;

/** Without the agent, because this notice is the operator's and must not wait for the buyer's. */
async function tell(
  trx: Transaction,
  found: readonly Mismatch[],
  { key, now }: { key: string; now: Date },
): Promise<void> {
  const [first] = found;
  const names = found.slice(0, NAMES_TOLD).map(({ name }) => cutText(name, 100));
  const more = found.length - names.length;
  const list = `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const cause =
    found.length === 1 ? first!.cause : `${found.length} resources: ${list}. The first: ${first!.cause}`;
  await queueNotice(trx, {
    type: 'fleet.mismatch',
    key,
    data: {
      class: 'mismatch',
      agentId: null,
      subscriptionId: null,
      cause: cutText(cause, LONGEST_TEXT),
      cure: first!.cure,
    },
    at: now,
  });
}

function toMismatch(finding: Unclear): Mismatch {
  const { reason, resource } = finding;
  return {
    key: cutText(`${reason} ${resource.kind} ${resource.id}`, LONGEST_KEY),
    reason,
    name: toName(resource),
    ownerId: 'agentId' in finding ? finding.agentId : resource.agentId,
    project: 'project' in resource ? resource.project : null,
    cause: cutText(`${explain(finding)}.`, LONGEST_TEXT),
    cure: CURES[reason],
  };
}
