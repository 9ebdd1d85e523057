import { sql } from 'kysely';
import { PLAN_SERVER_TYPES, serverFor } from '../agents/plans.ts';
import type { Database } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { OperationKind } from '../database/vocabulary.ts';

/** A change with what its price depends on. */
export interface PricedChange {
  kind: OperationKind;
  parameters: OperationParameters;
  /** `inputs`: as last applied; null or absent until a server has been chosen. */
  agent: { plan: string; location: string; inputs?: { serverType?: unknown } | null };
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
  const { plan, location, inputs } = change.agent;
  const now = await sumServers(database, list);
  // Its present server, or that of which the snapshot was made.
  const recorded = typeof inputs?.serverType === 'string' ? inputs.serverType : null;
  const own = () => priceOf(list, { serverType: recorded, plan, location });
  const added =
    change.kind === 'resize' ? list.ofPlan(String(change.parameters.plan ?? plan), location) - own() : own();
  return { now, added, unknown: [...list.unknown] };
}

/** Euros an hour of all servers that exist or are being created; null if a price is not known. */
export async function currentSpend(database: Database): Promise<number | null> {
  const list = await openPriceList(database);
  const now = sum(list, await listSlots(database)) + (await sumServers(database, list));
  return list.unknown.size > 0 ? null : now;
}

/** A slot that can be removed, with its price in euros an hour. */
export interface PricedSlot {
  slotId: string;
  status: 'making' | 'ready';
  euros: number;
}

/** Euros an hour. */
interface SlotPrices {
  /** Each slot that is made or waits, those first that are removed first. */
  slots: PricedSlot[];
  /** All slots that have, or may have, a server whose removal has failed. */
  stuck: number;
  agents: number;
}

/** What slots and agents cost; undefined if a price is not known. A removal that goes well costs nothing. */
export async function priceSlots(database: Database): Promise<SlotPrices | undefined> {
  const list = await openPriceList(database);
  const { rows } = await sql<Priced & { slotId: string; status: PricedSlot['status'] | 'removing' }>`
    select slot_id as "slotId", status, inputs->>'serverType' as "serverType", plan, location from slots
    where status in ('making', 'ready')
      or (status = 'removing' and tries > 0 and (server_id is not null or inputs is not null))
    order by status, created_at`.execute(database);
  const slots: PricedSlot[] = [];
  let stuck = 0;
  for (const { slotId, status, ...one } of rows) {
    const euros = priceOf(list, one);
    if (status === 'removing') stuck += euros;
    else slots.push({ slotId, status, euros });
  }
  const agents = await sumServers(database, list);
  return list.unknown.size > 0 ? undefined : { slots, stuck, agents };
}

/** Euros an hour of a new server; undefined if its price is not known. */
export async function priceOfPlan(
  database: Database,
  { plan, location }: { plan: string; location: string },
): Promise<number | undefined> {
  const list = await openPriceList(database);
  const euros = list.ofPlan(plan, location);
  return list.unknown.size > 0 ? undefined : euros;
}

/** Euros an hour: what no new server costs more than whose price is known, whatever its plan and location. */
export async function dearestServer(database: Database): Promise<number> {
  const described = await database.selectFrom('plan_servers').select('server_type').distinct().execute();
  const types = [...PLAN_SERVER_TYPES, ...described.map((row) => row.server_type)];
  const { dearest } = await database
    .selectFrom('server_prices')
    .select(({ fn }) => fn.max('euros_per_hour').as('dearest'))
    .where('server_type', 'in', types)
    .executeTakeFirstOrThrow();
  return Number(dearest ?? 0);
}

interface PriceList {
  of(serverType: string, location: string): number;
  /** The dearest server that the plan may get there. A type without a price is not sold there. */
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
  const choices = await readChoices(database);
  const ofPlan = (plan: string, location: string) => {
    const listed = choices.get(`${plan} ${location}`) ?? [serverFor(plan, location).serverType];
    const sold = listed.filter((serverType) => prices.has(`${serverType} ${location}`));
    return Math.max(...(sold.length > 0 ? sold : listed).map((serverType) => of(serverType, location)));
  };
  return { of, ofPlan, unknown };
}

/** The server types by plan and location that the operator has described. */
async function readChoices(database: Database): Promise<Map<string, string[]>> {
  const rows = await database.selectFrom('plan_servers').selectAll().execute();
  const grouped = Map.groupBy(rows, ({ plan, location }) => `${plan} ${location}`);
  return new Map([...grouped].map(([key, group]) => [key, group.map((row) => row.server_type)]));
}

type Priced = Pick<ServerGroup, 'serverType' | 'plan' | 'location'>;

function priceOf(list: PriceList, { serverType, plan, location }: Priced): number {
  return serverType === null ? list.ofPlan(plan, location) : list.of(serverType, location);
}

async function sumServers(database: Database, list: PriceList): Promise<number> {
  return sum(list, await listServers(database));
}

const sum = (list: PriceList, groups: readonly ServerGroup[]): number =>
  groups.reduce((euros, group) => euros + group.count * priceOf(list, group), 0);

/**
 * The servers that wait for customers. They do not count where an order is decided: they make room for it.
 */
async function listSlots(database: Database): Promise<ServerGroup[]> {
  const { rows } = await sql<ServerGroup>`
    select inputs->>'serverType' as "serverType", plan, location, count(*) as count from slots
    where status in ('making', 'ready', 'removing') group by 1, 2, 3`.execute(database);
  return rows;
}

interface ServerGroup {
  /** As recorded for what exists, is being created or woken; null before that, and during a resize. */
  serverType: string | null;
  plan: string;
  location: string;
  count: number;
}

/** Counts the servers that exist or are being created. Hetzner bills a stopped server in full. */
async function listServers(database: Database): Promise<ServerGroup[]> {
  const { rows } = await sql<ServerGroup>`
    select server_type as "serverType", plan, location, count(*) as count from (
      select a.location, coalesce(o.parameters->>'plan', a.plan) as plan,
        case when o.kind is distinct from 'resize' then a.server_type end as server_type
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
