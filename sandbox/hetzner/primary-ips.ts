import express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction, type Queryable } from '../database.ts';
import { orderedActionError } from '../faults.ts';
import type { SandboxSettings } from '../settings.ts';
import { type ActionError, insertActions, toAction } from './actions/store.ts';
import { locationById } from './catalogue/locations.ts';
import { notFound } from './errors.ts';
import { parseId, parseInput } from './input.ts';
import { parseLabelSelector, selectorConditions } from './label-selector.ts';
import { type Conditions, createConditions, listQuery, paginationMeta, selectPage } from './listing.ts';
import { type DnsPtr, defaultName, dnsPtrInput, setDnsPtr } from './reverse-dns.ts';
import { type PrimaryIpRow, type ServerRow, visibleSql } from './servers/store.ts';

type ListedIpRow = PrimaryIpRow & { location_id: number };

// The addresses of what is deleted stay in the table; they are shown as long as their server is.
const listedIps = (now: string) => `(
  SELECT ip.*, 'primary_ip-' || ip.id AS name, '{}'::jsonb AS labels, server.location_id
  FROM hetzner_primary_ips ip JOIN hetzner_servers server ON server.id = ip.server_id
  WHERE ${visibleSql(now).replaceAll('deleted_at', 'server.deleted_at')}
) AS listed`;

const ipQuery = listQuery.extend({ ip: z.string().optional() });

type Dependencies = { pool: pg.Pool; settings: SandboxSettings };

/** `/primary_ips`: addresses come and go with their servers here; they cannot be ordered on their own. */
export function createPrimaryIpsRouter({ pool, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/primary_ips', async (request, response) => {
    const query = parseInput(ipQuery, request.query);
    const conditions = createConditions();
    const table = listedIps(conditions.bind(new Date()));
    addFilters(conditions, query);
    const source = { table, conditions, sortable: { id: 'id', created: 'created_at' } };
    const page = await selectPage<ListedIpRow>(pool, source, query);
    response.json({ primary_ips: page.rows.map(toPrimaryIp), meta: paginationMeta(query, page.total) });
  });
  router.get('/primary_ips/:id', async (request, response) => {
    const { rows } = await pool.query<ListedIpRow>(`SELECT * FROM ${listedIps('$1')} WHERE id = $2`, [
      new Date(),
      parseId(request.params.id, 'primary IP'),
    ]);
    if (rows[0] === undefined) throw notFound('primary IP');
    response.json({ primary_ip: toPrimaryIp(rows[0]) });
  });
  router.post('/primary_ips/:id/actions/change_dns_ptr', async (request, response) => {
    const id = parseId(request.params.id, 'primary IP');
    const input = parseInput(dnsPtrInput, request.body);
    const error = orderedActionError(response);
    response.status(201).json({ action: await renameAddress({ pool, settings }, id, input, error) });
  });
  return router;
}

async function renameAddress(
  { pool, settings }: Dependencies,
  id: number,
  input: DnsPtr,
  error: ActionError | undefined,
) {
  return inTransaction(pool, async (client) => {
    const startedAt = new Date();
    const { rows } = await client.query<PrimaryIpRow>(
      `SELECT * FROM hetzner_primary_ips WHERE id = (SELECT id FROM ${listedIps('$1')} WHERE id = $2) FOR UPDATE`,
      [startedAt, id],
    );
    if (rows[0] === undefined) throw notFound('primary IP');
    await setDnsPtr(client, rows, input, error === undefined);
    const finishesAt = new Date(startedAt.getTime() + settings.serverActionMs);
    const resources = [{ id, type: 'primary_ip' as const }];
    const action = { command: 'change_dns_ptr', startedAt, finishesAt, resources, error };
    return toAction((await insertActions(client, [action]))[0]!, startedAt);
  });
}

function addFilters(conditions: Conditions, query: z.infer<typeof ipQuery>): void {
  if (query.name !== undefined) conditions.clauses.push(`name = ${conditions.bind(query.name)}`);
  if (query.ip !== undefined) conditions.clauses.push(`ip = ${conditions.bind(query.ip)}`);
  if (query.label_selector !== undefined)
    conditions.clauses.push(
      ...selectorConditions(parseLabelSelector(query.label_selector), 'labels', conditions.bind),
    );
}

/** Gives a new server its public addresses, from ranges that are reserved for examples and tests. */
export async function createPrimaryIps(
  db: Queryable,
  server: ServerRow,
  wanted: { enable_ipv4: boolean; enable_ipv6: boolean },
): Promise<void> {
  const types = [...(wanted.enable_ipv4 ? ['ipv4'] : []), ...(wanted.enable_ipv6 ? ['ipv6'] : [])];
  // 198.18.0.0/15 has room for 131072 addresses; the server's id picks one. The first 256 are the sandbox's own.
  const n = 256 + (server.id % (131_072 - 256));
  const ipv4 = `198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  const ipv6 = `2001:db8:${(server.id >> 16).toString(16)}:${(server.id & 0xffff).toString(16)}::/64`;
  for (const type of types) {
    const dnsPtr = type === 'ipv4' ? [{ ip: ipv4, dns_ptr: defaultName(ipv4) }] : [];
    await db.query(
      'INSERT INTO hetzner_primary_ips (server_id, type, ip, dns_ptr, created_at) VALUES ($1, $2, $3, $4, $5)',
      [server.id, type, type === 'ipv4' ? ipv4 : ipv6, JSON.stringify(dnsPtr), server.created_at],
    );
  }
}

function toPrimaryIp(row: ListedIpRow) {
  return {
    id: row.id,
    name: `primary_ip-${row.id}`,
    labels: {},
    created: row.created_at.toISOString(),
    blocked: false,
    location: locationById(row.location_id),
    ip: row.ip,
    dns_ptr: row.dns_ptr,
    protection: { delete: false },
    type: row.type,
    auto_delete: true,
    assignee_type: 'server',
    assignee_id: row.server_id,
  };
}
