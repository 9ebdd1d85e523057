import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { FaultArea, FaultEffect } from './fault-order.ts';

/** The tables of one area. `statements` must be repeatable (`create table if not exists …`). */
export interface SandboxSchema {
  area: string;
  version: number;
  statements: readonly string[];
}

/** A jsonb column: the driver reads it parsed; we write it with `JSON.stringify`. */
export type Json<T extends object | null> = JSONColumnType<T, string, string>;
export type NullableJson<T extends object> = ColumnType<T | null, string | null, string | null>;
export type Defaulted<T> = ColumnType<T, T | undefined, T>;

/** Tables that every area uses. */
export interface FoundationTables {
  sandbox_schema: SchemaVersionTable;
  due: DueTable;
  faults: FaultTable;
}

export interface SchemaVersionTable {
  area: string;
  version: number;
}

export interface DueTable {
  /** A bigint, which the driver returns as text. */
  id: GeneratedAlways<string>;
  kind: string;
  key: string;
  at: Date;
  payload: ColumnType<unknown, string, string>;
  /** Counts how often the work was rescheduled. */
  revision: Generated<number>;
  attempts: Generated<number>;
  last_error: string | null;
}

export interface FaultTable {
  /** A bigint, which the driver returns as text. */
  id: GeneratedAlways<string>;
  area: FaultArea;
  method: string;
  path: string;
  remaining: number;
  effect: Json<FaultEffect>;
  created_at: Generated<Date>;
}

export const foundationSchema: SandboxSchema = {
  area: 'foundation',
  version: 1,
  statements: [
    `create table if not exists due (
      id bigint generated always as identity primary key,
      kind text not null,
      key text not null,
      at timestamptz not null,
      payload jsonb not null,
      revision int not null default 1,
      attempts int not null default 0,
      last_error text,
      unique (kind, key)
    )`,
    'create index if not exists due_at on due (at)',
    `create table if not exists faults (
      id bigint generated always as identity primary key,
      area text not null,
      method text not null,
      path text not null,
      remaining int not null check (remaining >= 0),
      effect jsonb not null,
      created_at timestamptz not null default now()
    )`,
  ],
};
