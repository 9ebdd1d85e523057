import { sql } from 'kysely';
import { type NewFinding, replaceFindings } from '../../billing/follow/findings.ts';
import type { Database } from '../../database/connect.ts';
import { explain } from './compare.ts';
import type { DeviceFinding, Finding, ReportReason } from './findings.ts';

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

/**
 * Keeps what a sweep could not decide, for people to see. Only a sweep of all lists knows which earlier
 * findings have gone.
 */
export async function storeMismatches(
  database: Database,
  unclear: readonly Unclear[],
  { isComplete }: { isComplete: boolean },
): Promise<void> {
  const findings = unclear.map(toFinding);
  await database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ now: Date }>`select business_now() as now`.execute(trx);
    await replaceFindings(trx, { source: 'sweep', keepsOthers: !isComplete }, findings, rows[0]!.now);
  });
}

function toFinding(finding: Unclear): NewFinding {
  const { reason, resource } = finding;
  const owner = 'agentId' in finding ? finding.agentId : resource.agentId;
  return {
    class: 'mismatch',
    key: `${reason} ${resource.kind} ${resource.id}`,
    agentId: reason === 'unknown-agent' ? undefined : (owner ?? undefined),
    cause: `${explain(finding)}.`,
    cure: CURES[reason],
  };
}
