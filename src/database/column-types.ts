import type { ColumnType, JSONColumnType } from 'kysely';
import type { JsonText } from './storable.ts';

export type Json<T extends object> = JSONColumnType<T, JsonText, JsonText>;
export type DefaultedJson<T extends object> = JSONColumnType<T, JsonText | undefined, JsonText>;
export type NullableJson<T extends object> = JSONColumnType<T, JsonText | null, JsonText | null>;
export type Timestamp = ColumnType<Date, Date | string, Date | string>;
export type DefaultTimestamp = ColumnType<Date, Date | string | undefined, Date | string>;
export type Defaulted<T> = ColumnType<T, T | undefined, T>;
