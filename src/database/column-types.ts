import type { ColumnType, JSONColumnType } from 'kysely';
import type { JsonText } from './storable.ts';

export type Json<T extends object> = JSONColumnType<T, JsonText, JsonText>;
export type DefaultedJson<T extends object> = JSONColumnType<T, JsonText | undefined, JsonText>;
export type NullableJson<T extends object> = JSONColumnType<T, JsonText | null, JsonText | null>;
export type Timestamp = ColumnType<Date, Date | string, Date | string>;
export type DefaultTimestamp = ColumnType<Date, Date | string | undefined, Date | string>;
/** Postgres returns `numeric` as text, which keeps every digit. */
export type Numeric = ColumnType<string, number | string, number | string>;
export type Defaulted<T> = ColumnType<T, T | undefined, T>;
