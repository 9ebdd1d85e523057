import type { Generated } from 'kysely';
import type { SandboxSchema } from '../schema.ts';

export interface ClockTables {
  sandbox_clock: ClockTable;
}

/** One row. While the clock is moved, it has a target and a position, and shows the position. */
export interface ClockTable {
  id: Generated<number>;
  /** How far the clock is ahead of real time. */
  offset_seconds: Generated<number>;
  target_offset_seconds: number | null;
  position: Date | null;
}

/** Table of the sandbox's clock. */
export const clockSchema: SandboxSchema = {
  area: 'clock',
  version: 1,
  statements: [
    `create table if not exists sandbox_clock (
      id int primary key default 1 check (id = 1),
      offset_seconds int not null default 0 check (offset_seconds >= 0),
      target_offset_seconds int check (target_offset_seconds >= offset_seconds),
      position timestamptz,
      check ((target_offset_seconds is null) = (position is null))
    )`,
    'insert into sandbox_clock default values on conflict do nothing',
  ],
};
