import { sql } from 'kysely';
import { serverFor } from '../agents/plans.ts';
import type { Database } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { OperationKind } from '../database/vocabulary.ts';

/** A change with what its price depends on. */
export interface PricedChange {
  kind: OperationKind;
  parameters: OperationParameters;
  agent: { plan: string; location: string };
}

/** Euros an hour. `unknown` names server types whose price Hetzner has not told yet. */
export interface Spend {
  /** All servers that exist or are being created. */
  now: number;
  /** What the change adds; negative if it saves. */
  added: number;
  unknown: string[];
}

/** Computes what the servers cost now and what the change would add, from the cached prices. */
export async function computeSpend(database: Database, change: PricedChange): Promise<Spend> {
  const list = await openPriceList(database);
  const { plan, location } = change.agent;
  const now = await sumServers(database, list);
  const added =
    change.kind === 'resize'
      ? list.ofPlan(String(change.parameters.plan ?? plan), location) - list.ofPlan(plan, location)
      : list.ofPlan(plan, location);
  return { now, added, unknown: [...list.unknown] };
}

/** Euros an hour of all servers that exist or are being created; null if a price is not known. */
export async function currentSpend(database: Database): Promise<number | null> {
  const list = await openPriceList(database);
  const now = await sumServers(database, list);
  return list.unknown.size > 0 ? null : now;
}

interface PriceList {
  of(serverType: string, location: string): number;
  ofPlan(plan: string, location: string): number;
  /** What was asked for and is not known. It counts as free in the sums. */
  unknown: Set<string>;
}

async function openPriceList(database: Database): Promise<PriceList> {
  const prices = await readPrices(database);
  const unknown = new Set<string>();
  const of = (serverType: string, location: string) => {
    const euros = prices.get(`${serverType} ${location}`);
    if (euros === undefined) unknown.add(`${serverType} in ${location}`);
    return euros ?? 0;
  };
  return { of, ofPlan: (plan, location) => of(serverFor(plan, location).serverType, location), unknown };
}

async function sumServers(database: Database, list: PriceList): Promise<number> {
  const groups = await listServers(database);
  return groups
    .map((group) => group.count * list.of(serverTypeOf(group), group.location))
    .reduce((sum, euros) => sum + euros, 0);
}

interface ServerGroup {
  /** As last applied; null for a server that is being created or resized. */
  serverType: string | null;
  plan: string;
  location: string;
  count: number;
}

const serverTypeOf = ({ serverType, plan, location }: ServerGroup) =>
  serverType ?? serverFor(plan, location).serverType;

/** Counts the servers that exist or are being created. Hetzner bills a stopped server in full. */
async function listServers(database: Database): Promise<ServerGroup[]> {
  const { rows } = await sql<ServerGroup>`
    select server_type as "serverType", plan, location, count(*) as count from (
      select a.location, coalesce(o.parameters->>'plan', a.plan) as plan,
        case when o.kind is null then a.inputs->>'serverType' end as server_type
      from agents a left join operations o on o.agent_id = a.agent_id and o.status in ('queued', 'active')
        and o.kind in ('provision', 'wake', 'resize')
      where a.server_id is not null or o.kind is not null) servers
    group by server_type, plan, location`.execute(database);
  return rows;
}

async function readPrices(database: Database): Promise<Map<string, number>> {
  const rows = await database
    .selectFrom('server_prices')
    .select(['server_type', 'location', 'euros_per_hour'])
    .execute();
  return new Map(rows.map((row) => [`${row.server_type} ${row.location}`, Number(row.euros_per_hour)]));
}
