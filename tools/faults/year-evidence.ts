import type pg from 'pg';
import type { Installation } from './installation.ts';
import { withClient } from './snapshot.ts';
import { until } from './until.ts';
import type { Harm, Holding, Notice } from './year-oracle.ts';
import type { YearStripe } from './year-stripe.ts';

/** What the service has said and done, from its own tables. */
export interface ServiceRecord {
  notices: Map<string, Notice[]>;
  /** Since when each agent is suspended for want of payment: its hold, or a later suspension. */
  suspendedSince: Map<string, number>;
  heldForAbuse: Set<string>;
  /** Suspensions, hibernations and destroys that the service asked for by itself, in order. */
  harms: (Harm & { id: number; agentId: string })[];
}

export async function readRecord({ file }: Installation, afterHarm: number): Promise<ServiceRecord> {
  return withClient(file.databaseUrl, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const notices = await rows<{ agent_id: string; type: string; key: string; at: Date }>(
      client,
      `select agent_id, type, key, at from notices where agent_id is not null
         and type in ('agent.payment_failed', 'agent.will_suspend', 'agent.will_delete')`,
    );
    const holds = await rows<{ agent_id: string; reason: string; since: Date }>(
      client,
      `select agent_id, reason, greatest(since, (select max(at) from notices n
         where n.agent_id = h.agent_id and n.type = 'agent.suspended')) as since from holds h`,
    );
    const harms = await rows<{ id: string; agent_id: string; kind: string; at: Date }>(
      client,
      `select change_id as id, agent_id, kind, at from changes
       where change_id > ${afterHarm} and kind in ('suspend', 'hibernate', 'destroy') order by change_id`,
    );
    const ofPayment = holds.filter(({ reason }) => reason === 'payment');
    return {
      notices: Map.groupBy(
        notices.map(({ at, ...notice }) => ({ ...notice, at: at.getTime() })),
        (notice) => notice.agent_id,
      ),
      suspendedSince: new Map(ofPayment.map(({ agent_id: id, since }) => [id, since.getTime()])),
      heldForAbuse: new Set(holds.filter(({ reason }) => reason === 'abuse').map(({ agent_id: id }) => id)),
      harms: harms.map(({ id, agent_id: agentId, kind, at }) => ({
        id: Number(id),
        agentId,
        kind,
        at: at.getTime(),
      })),
    };
  });
}

const rows = async <T>(client: pg.ClientBase, text: string, values: unknown[] = []) =>
  (await client.query(text, values)).rows as T[];

/**
 * What is still going on, in words. `$1`: the sandbox's time. `$2`: since when undelivered events must have
 * been fetched and the nightly comparison made, or null. A rollback that is tried again after ten minutes
 * counts as rest.
 */
const UNREST = `
  select 'the service''s clock is behind' as what where abs(extract(epoch from business_now() - $1::timestamptz)) > 3
  union all select kind || ' of ' || agent_id || ' is ' || status from operations
    where status = 'active' or (status = 'queued' and run_after < now() + interval '330 seconds')
  union all select agent_id || ' is ' || status from agents
    where status in ('requested', 'provisioning', 'stopping', 'destroying')
  union all select 'subscription ' || subscription_id || ' is due' from subscriptions
    where signals > seen_signals or next_at <= $1::timestamptz or claimed_until > now()
  union all select 'signal ' || count(*) from unresolved_signals having count(*) > 0
  union all select name || ' is due' from (values ('undelivered events'), ('nightly comparison')) as work (name)
    where $2::timestamptz is not null and not exists (select 1 from billing_runs r
      where r.name = work.name and r.business_at >= $2::timestamptz)
  union all select 'regular work is under way' where exists (select 1 from pg_locks
    where locktype = 'advisory' and objid = 14 and objsubid = 2
      and database = (select oid from pg_database where datname = current_database()))`;

/** Waits until nothing is on its way, due or under way. @throws Error that says what is, after the cap */
export async function untilAtRest(
  { installation, stripe }: { installation: Installation; stripe: YearStripe },
  { since, capSeconds }: { since: number | null; capSeconds: number },
): Promise<void> {
  await withClient(installation.file.databaseUrl, (client) =>
    until(
      'the service is at rest',
      capSeconds,
      async () => {
        const onTheirWay = await stripe.onTheirWay();
        if (onTheirWay > 0) throw new Error(`${onTheirWay} events are on their way`);
        const now = new Date(await stripe.now());
        const values = [now, since === null ? null : new Date(since)];
        const unrest = await rows<{ what: string }>(client, UNREST, values);
        if (unrest.length > 0) throw new Error(unrest.map(({ what }) => what).join(', '));
        return true;
      },
      150,
    ),
  );
}

/** Counts what the year did, from the service's tables. */
export async function countOperations({ file }: Installation): Promise<Record<string, number>> {
  return withClient(file.databaseUrl, async (client) => {
    const counts = await rows<{ what: string; count: string }>(
      client,
      `select kind || case when status = 'succeeded' then '' else ' ' || status end as what, count(*)
       from operations group by 1 union all
       select type, count(*) from notices group by 1 order by 1`,
    );
    return Object.fromEntries(counts.map(({ what, count }) => [what, Number(count)]));
  });
}

/** Everything in the clouds that carries one agent's name. */
interface Belongings {
  servers: string[];
  snapshots: string[];
  sshKeys: number;
  devices: number;
  volumes: number;
}

/** Reads what the clouds hold of every agent, over the vendors' APIs. */
export async function readHoldings({ file }: Installation): Promise<Map<string, Belongings>> {
  const hetzner = (kind: string, query = '') =>
    listAll(`${file.hcloudEndpoint}/${kind}?per_page=50${query}`, kind, file.hcloudToken);
  const [servers, snapshots, sshKeys, volumes, devices] = await Promise.all([
    hetzner('servers'),
    hetzner('images', '&type=snapshot'),
    hetzner('ssh_keys'),
    hetzner('volumes'),
    listAll(`${file.tailscaleBaseUrl}/api/v2/tailnet/-/devices`, 'devices', file.tailscaleApiKey),
  ]);
  const found = new Map<string, Belongings>();
  const of = (agentId: string) => {
    const none = { servers: [], snapshots: [], sshKeys: 0, devices: 0, volumes: 0 };
    const belongings = found.get(agentId) ?? none;
    found.set(agentId, belongings);
    return belongings;
  };
  for (const one of servers) of(ownerOf(one)).servers.push(String(one.status));
  for (const one of snapshots) of(ownerOf(one)).snapshots.push(String(one.status));
  for (const one of sshKeys) of(ownerOf(one)).sshKeys += 1;
  for (const one of volumes) of(ownerOf(one)).volumes += 1;
  for (const one of devices) of(ownerOf({ name: String(one.name).split('.')[0] })).devices += 1;
  return found;
}

type CloudItem = Record<string, unknown>;

function ownerOf({ labels, name }: CloudItem): string {
  const label = (labels as Record<string, string> | undefined)?.['agent-id'];
  return label ?? String(name).replace(/^agent-/, '');
}

async function listAll(url: string, key: string, token: string): Promise<CloudItem[]> {
  const found: CloudItem[] = [];
  for (let page: number | null = 1; page !== null; ) {
    const response: Response = await fetch(page === 1 ? url : `${url}&page=${page}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(20_000),
    });
    if (!response.ok) throw new Error(`GET ${url}: ${response.status}`);
    const answer = (await response.json()) as Record<string, CloudItem[]> & {
      meta?: { pagination: { next_page: number | null } };
    };
    found.push(...(answer[key] ?? []));
    page = answer.meta?.pagination.next_page ?? null;
  }
  return found;
}

/** Names what the clouds hold of an agent, exactly: anything else than the four rightful states in words. */
export function nameHolding(belongings: Belongings | undefined): Holding | string {
  const { servers, snapshots, sshKeys, devices, volumes } = belongings ?? EMPTY;
  const told = `servers: ${servers.join(', ') || 'none'}; snapshots: ${snapshots.join(', ') || 'none'}; ${sshKeys} SSH keys, ${devices} devices, ${volumes} volumes`;
  return RIGHTFUL[told] ?? told;
}

const EMPTY: Belongings = { servers: [], snapshots: [], sshKeys: 0, devices: 0, volumes: 0 };
const KEPT = '1 SSH keys, 1 devices, 0 volumes';
const RIGHTFUL: Readonly<Record<string, Holding>> = {
  [`servers: running; snapshots: none; ${KEPT}`]: 'server on',
  [`servers: off; snapshots: none; ${KEPT}`]: 'server off',
  [`servers: none; snapshots: available; ${KEPT}`]: 'snapshot',
  'servers: none; snapshots: none; 0 SSH keys, 0 devices, 0 volumes': 'nothing',
};
