import type { Transaction } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import type { AttentionClass } from '../../database/vocabulary.ts';
import { queueNotice } from '../../notices/queue-notice.ts';

/** What a person should know, and what to do about it. */
export interface NewFinding {
  class: AttentionClass;
  /** Names it among the findings of its source: the same as long as it lasts. */
  key: string;
  agentId?: string | undefined;
  subscriptionId?: string | undefined;
  cause: string;
  cure: string;
}

const LONGEST_KEY = 600;
const LONGEST_TEXT = 2_000;

/**
 * Replaces what a source has found, about one agent or at all. A finding that lasts keeps its `since`; one
 * that is no longer there is removed. A new mismatch is told to the operator, once.
 * @param now the business time
 */
export async function replaceFindings(
  trx: Transaction,
  { source, agentId }: { source: string; agentId?: string },
  findings: readonly NewFinding[],
  now: Date,
): Promise<void> {
  const keys = findings.map(({ key }) => cutText(key, LONGEST_KEY));
  await removeOthers(trx, { source, agentId }, keys);
  for (const finding of findings) await upsertFinding(trx, source, finding, now);
}

async function removeOthers(
  trx: Transaction,
  { source, agentId }: { source: string; agentId: string | undefined },
  keys: readonly string[],
): Promise<void> {
  await trx
    .deleteFrom('findings')
    .where('source', '=', source)
    .$if(agentId !== undefined, (query) => query.where('agent_id', '=', agentId!))
    .$if(keys.length > 0, (query) => query.where('key', 'not in', keys))
    .execute();
}

async function upsertFinding(
  trx: Transaction,
  source: string,
  finding: NewFinding,
  now: Date,
): Promise<void> {
  const texts = { cause: cutText(finding.cause, LONGEST_TEXT), cure: cutText(finding.cure, LONGEST_TEXT) };
  const key = cutText(finding.key, LONGEST_KEY);
  const known = await trx
    .updateTable('findings')
    .set(texts)
    .where('source', '=', source)
    .where('key', '=', key)
    .executeTakeFirst();
  if (known.numUpdatedRows > 0n) return;
  const { agentId, subscriptionId } = finding;
  await trx
    .insertInto('findings')
    .values({
      source,
      key,
      class: finding.class,
      agent_id: agentId ?? null,
      subscription_id: subscriptionId ?? null,
      ...texts,
      since: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  if (finding.class === 'mismatch')
    await tellMismatch(trx, `finding ${source} ${key}`, { ...finding, ...texts }, now);
}

/** Without the agent, because this notice is the operator's and must not wait for the buyer's. */
async function tellMismatch(trx: Transaction, key: string, finding: NewFinding, now: Date): Promise<void> {
  const { class: kind, agentId = null, subscriptionId = null, cause, cure } = finding;
  await queueNotice(trx, {
    type: 'fleet.mismatch',
    key: cutText(`${now.toISOString()} ${key}`, 500),
    data: { class: kind, agentId, subscriptionId, cause, cure },
    at: now,
  });
}
