import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { toServerName } from '../../stacks/inputs.ts';
import { toAgentRecord } from '../agents/agent-record.ts';
import { type CloudRecord, sealRecord } from '../agents/cloud-record.ts';
import { listHolds } from '../agents/holds.ts';
import { RECORD_OWNERS } from '../agents/record-owners.ts';
import {
  hasRecord,
  isRecordLabel,
  RECORD_FORMAT,
  type RecordSeal,
  withRecord,
} from '../agents/record-seal.ts';
import type { Vault } from '../agents/secrets.ts';
import { getAgent } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { isRecovering, recovering } from '../database/recovering.ts';
import { cutText } from '../database/storable.ts';
import { withLock } from '../database/with-lock.ts';
import { errorMessage } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Log } from '../log.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import { isLabelled, isOwnKey, ownLabels } from '../runbooks/steps/own-server.ts';
import { toSlotRecord } from '../slots/slot-record.ts';
import { getSlot, isSlot } from '../slots/slots.ts';

export interface RecordDeps {
  database: Database;
  /** The Hetzner projects by name. */
  projects: ReadonlyMap<string, Pick<HetznerClient, 'findSshKey' | 'setSshKeyLabels'>>;
  vault: Vault;
  seal: RecordSeal;
  keyring: Keyring;
  log: Log;
}

const LOOK_SECONDS = 5;
/**
 * What has just changed is written at once; what an earlier version left out or sealed, or another
 * passphrase, a few at a time: each takes two calls of Hetzner's quota of one a second.
 */
const FRESH = { limit: 5, withinSeconds: 600 };
const OLD_AT_ONCE = 2;
const RETRY_SECONDS = 300;
const LONGEST_ERROR = 2_000;

/**
 * Keeps in the labels of each SSH key at Hetzner what stands in no other cloud (src/agents/cloud-record.ts).
 * A kill between the write and its row repeats the write; labels that somebody changes are found by the
 * sweep, which forgets the row.
 */
export function startKeepingRecords(deps: RecordDeps, lookSeconds = LOOK_SECONDS): Repeating {
  const look = async () => {
    try {
      await keepRecords(deps);
    } catch (error) {
      deps.log.warn(
        { event: 'records.look_failed', error: errorMessage(error) },
        'could not keep the records',
      );
    }
  };
  return repeatEvery(lookSeconds, look);
}

/**
 * Writes the records that are due, at most a few. While a database recovers none is: what stands at Hetzner
 * may be newer than its rows. @returns how many; none while another worker does
 */
export async function keepRecords(deps: RecordDeps): Promise<number> {
  const isDue = (await findDue(deps.database, deps.keyring.sealing.id)).length > 0;
  if (!isDue) return 0;
  return withLock(deps.database, 'records', { work: () => keepDue(deps), taken: () => 0 });
}

async function keepDue(deps: RecordDeps): Promise<number> {
  const keyId = deps.keyring.sealing.id;
  const due = await findDue(deps.database, keyId);
  const fresh = due.filter(({ isFresh }) => isFresh);
  const now = fresh.length > 0 ? fresh : due.slice(0, OLD_AT_ONCE);
  for (const { ownerId, version } of now) await keepOne(deps, ownerId, { version, keyId });
  return now.length;
}

interface Due {
  ownerId: string;
  /** The row's `updated_at`, which a JavaScript date would cut. */
  version: string;
  isFresh: boolean;
}

async function findDue(database: Database, keyId: string): Promise<Due[]> {
  const { rows } = await sql<Due>`
    select o.id as "ownerId", o.updated_at::text as version,
      o.updated_at > now() - make_interval(secs => ${FRESH.withinSeconds}) as "isFresh"
    from ${RECORD_OWNERS} o
      left join cloud_records r on r.owner_id = o.id
    where (r.owner_id is null or r.seen is null or o.updated_at > r.seen or r.key_id is distinct from ${keyId}
        or r.format is distinct from ${RECORD_FORMAT})
      and coalesce(r.retry_at <= now(), true) and not ${recovering}
    order by o.updated_at desc limit ${FRESH.limit}`.execute(database);
  return rows;
}

async function keepOne(
  deps: RecordDeps,
  ownerId: string,
  { version, keyId }: { version: string; keyId: string },
): Promise<void> {
  try {
    const record = await readRecord(deps, ownerId);
    const digest = await writeRecord(deps, record);
    await remember(deps.database, ownerId, { seen: version, digest, keyId, error: null });
  } catch (error) {
    const text = cutText(errorMessage(error), LONGEST_ERROR);
    deps.log.warn({ event: 'record.not_kept', agentId: ownerId, error: text }, 'a record could not be kept');
    await remember(deps.database, ownerId, { seen: null, digest: null, keyId: null, error: text });
  }
}

async function readRecord({ database, vault }: RecordDeps, ownerId: string): Promise<CloudRecord> {
  if (isSlot(ownerId)) return toSlotRecord(vault, await getSlot(database, ownerId));
  return toAgentRecord(vault, await getAgent(database, ownerId), await listHolds(database, ownerId));
}

/**
 * @returns the digest of its labels
 * @throws Error if the SSH key is missing, or another's, or the row may be older than what stands there
 */
async function writeRecord({ database, projects, seal }: RecordDeps, record: CloudRecord): Promise<string> {
  const { id, inputs } = record;
  const hetzner = projects.get(inputs.project);
  if (hetzner === undefined)
    throw new Error(`This worker does not know the Hetzner project ${inputs.project}`);
  const labels = await sealRecord(seal, record);
  const name = toServerName(inputs);
  const key = await hetzner.findSshKey(name);
  if (key === undefined) throw new Error(`There is no SSH key ${name} at Hetzner to keep the record at`);
  const owner = { agent_id: id, server_id: null, inputs };
  if (!isOwnKey(key, owner)) throw new Error(`The SSH key ${name} at Hetzner is not that of ${id}`);
  if (!hasRecord(key.labels, labels) || !isLabelled(key, id)) {
    // A restore may have begun meanwhile.
    if (await isRecovering(database))
      throw new Error('The record at Hetzner may be newer than the row: rebuild-state has to read it first');
    // All labels are set at once. Those that name the owner may have changed since they were read: an
    // adoption gives the key to its agent.
    await hetzner.setSshKeyLabels(key.id, { ...withRecord(key.labels, labels), ...ownLabels(owner) });
  }
  return digestOf(labels);
}

async function remember(
  database: Database,
  ownerId: string,
  row: { seen: string | null; digest: string | null; keyId: string | null; error: string | null },
): Promise<void> {
  const { seen, digest, keyId, error } = row;
  const retry = error === null ? 0 : RETRY_SECONDS;
  const format = error === null ? RECORD_FORMAT : null;
  await sql`
    insert into cloud_records (owner_id, seen, digest, key_id, format, error, retry_at)
    values (${ownerId}, ${seen}::timestamptz, ${digest}, ${keyId}, ${format}, ${error}, now() + make_interval(secs => ${retry}))
    on conflict (owner_id) do update set seen = excluded.seen, digest = excluded.digest, key_id = excluded.key_id,
      format = excluded.format, error = excluded.error, retry_at = excluded.retry_at`.execute(database);
}

/** Identifies the record in labels, without being able to open it. */
export function digestOf(labels: Readonly<Record<string, string>>): string {
  const record = Object.entries(labels).filter(([key]) => isRecordLabel(key));
  return createHash('sha256').update(JSON.stringify(record.sort())).digest('hex');
}

/** Records that are not as they were written are written again. `found`: the digests that a list had. */
export async function forgetChangedRecords(
  database: Database,
  found: readonly { ownerId: string; digest: string }[],
): Promise<void> {
  if (found.length === 0) return;
  const ids = found.map(({ ownerId }) => ownerId);
  const digests = found.map(({ digest }) => digest);
  await sql`delete from cloud_records r using unnest(${ids}::text[], ${digests}::text[]) as f (id, digest)
    where r.owner_id = f.id and r.digest <> f.digest`.execute(database);
}
