import { type RawBuilder, sql } from 'kysely';
import { LIMIT_REACHED } from '../errors.ts';

/**
 * Whether a slot has or may have a server, in SQL: names are recorded before one is created. Without an
 * attempt at work, one that Hetzner has refused is not there.
 */
export const mayHaveServer: RawBuilder<boolean> = sql<boolean>`(server_id is not null or (inputs is not null
  and not (status = 'making' and lease_until is null and failure_code is not distinct from ${LIMIT_REACHED})))`;

/**
 * Whether a slot's making must wait, in SQL: it would take a place in its Hetzner project that an order wants
 * or was given. After that order has begun, nothing new is made for as long as the project counts as full.
 */
export const givesWay: RawBuilder<boolean> = sql<boolean>`(
  exists (select 1 from operations o join agents a using (agent_id)
    where o.room is not null and a.project = slots.project)
  or (not ${mayHaveServer} and exists (select 1 from hetzner_projects p
    where p.name = slots.project and p.full_until > now())))`;
