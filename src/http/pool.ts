import { z } from 'zod';
import { SLOT_STATUSES } from '../database/slot-tables.ts';
import { listPools, listPresentSlots } from '../pool/listing.ts';
import { endpoint } from './endpoint.ts';

const date = z.iso.datetime().nullable();
const text = z.string().nullable();

const poolJson = z
  .object({
    project: z.string(),
    location: z.string(),
    plan: z.string(),
    size: z.int().meta({ description: 'How many slots there should be now' }),
    making: z.int(),
    ready: z.int(),
    claimed: z.int().meta({ description: 'Those of agents that have not adopted them yet' }),
    removing: z.int(),
    hits: z.int().meta({ description: 'Orders that got a slot' }),
    misses: z.int().meta({ description: 'Orders that found none and got a new server' }),
    ageSeconds: z.number().nullable().meta({ description: 'The mean age of the slots that are ready' }),
    eurosPerHour: z
      .number()
      .nullable()
      .meta({ description: 'What its slots cost; null: a price is not known' }),
    error: text.meta({ description: 'Why no slot is made now' }),
    pausedUntil: date,
  })
  .meta({ id: 'Pool' });

const slotJson = z
  .object({
    slotId: z.string(),
    location: z.string(),
    plan: z.string(),
    status: z.enum(SLOT_STATUSES),
    step: text,
    attempt: z.int(),
    error: text,
    serverName: text,
    agentId: text.meta({ description: 'The agent that has claimed it' }),
    createdAt: z.iso.datetime(),
    readyAt: date,
    checkedAt: date.meta({ description: 'When it last answered' }),
  })
  .meta({ id: 'Slot' });

const iso = (at: Date | null) => at?.toISOString() ?? null;

export const showPool = endpoint({
  method: 'get',
  path: '/api/pool',
  summary: 'The servers that wait for customers',
  access: 'operator',
  answers: {
    200: {
      description: 'The pools, and the slots that exist, the oldest first',
      schema: z.object({ pools: z.array(poolJson), slots: z.array(slotJson) }),
    },
  },
  handle: async ({ response, deps: { database } }) => {
    const [pools, slots] = await Promise.all([listPools(database), listPresentSlots(database)]);
    response.json({
      pools: pools.map((pool) => ({ ...pool, pausedUntil: iso(pool.pausedUntil) })),
      slots: slots.map((slot) => ({
        ...slot,
        createdAt: slot.createdAt.toISOString(),
        readyAt: iso(slot.readyAt),
        checkedAt: iso(slot.checkedAt),
      })),
    });
  },
});
