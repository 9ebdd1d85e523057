import { z } from 'zod';
import type { EnvironmentReader } from './environment-reader.ts';
import { PLANS, type Plan } from './plans.ts';
import { REGIONS, toLocation } from './regions.ts';

/** How many servers of a plan wait for customers in a location. */
export interface PoolEntry {
  /** The Hetzner project; undefined: the first one that takes something new in the location. */
  project: string | undefined;
  /** Hetzner's own name of it; written as that or as a region. */
  location: string;
  plan: Plan;
  size: number;
  /** When it counts; undefined: always. */
  hours: PoolHours | undefined;
}

export interface PoolHours {
  /** Monday is 1. */
  days: readonly number[];
  /** Minutes since midnight: from `from` to before `to`. */
  from: number;
  to: number;
}

export interface PoolConfig {
  entries: readonly PoolEntry[];
  /** Of the hours, as an IANA name. */
  timezone: string;
  /** How many slots a worker makes or removes at once, beside its operations. */
  refills: number;
  /** What all slots together may cost; undefined: no ceiling of their own. */
  eurosPerHour: number | undefined;
}

/** As the operator has said it. `entries` undefined: not at all, which the kind of machines decides. */
export type PoolSettings = Omit<PoolConfig, 'entries'> & { entries: PoolConfig['entries'] | undefined };

export const NO_POOL: PoolConfig = { entries: [], timezone: 'Etc/UTC', refills: 2, eurosPerHour: undefined };

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const NONE = 'none';
const FORM =
  'must be none, or entries such as eu-central/starter=2, nbg1/starter=5@mon-fri/08:00-18:00 or, in a Hetzner project, us:ash/pro=1, separated by commas';
const ENTRY =
  /^(?:([a-z0-9-]{1,20}):)?([a-z0-9-]{1,20})\/([a-z]+)[=:](\d{1,3})(?:@(?:(\w{3})(?:-(\w{3}))?\/)?(\d{2}):(\d{2})-(\d{2}):(\d{2}))?$/;

/** @returns the entry, or what is wrong with it */
function parseEntry(text: string): PoolEntry | string {
  const found = ENTRY.exec(text);
  if (found === null) return FORM;
  const [, project, region = '', name, size, ...when] = found;
  const location = toLocation(region);
  const plan = PLANS.find((one) => one === name);
  const hours = when[2] === undefined ? undefined : parseHours(when);
  if (location === undefined) return `names an unknown region ${region}; known: ${REGIONS.join(', ')}`;
  if (plan === undefined) return `names an unknown plan ${name}; known: ${PLANS.join(', ')}`;
  if (hours === 'malformed') return FORM;
  return { project, location, plan, size: Number(size), hours };
}

function parseHours(parts: (string | undefined)[]): PoolHours | 'malformed' {
  const [first = 'mon', last = parts[0] ?? 'sun', ...clock] = parts;
  const [fromDay, toDay] = [DAYS.indexOf(first) + 1, DAYS.indexOf(last) + 1];
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = clock.map(Number);
  const [from, to] = [fromHour * 60 + fromMinute, toHour * 60 + toMinute];
  const isTime = fromMinute < 60 && toMinute < 60 && from < to && to <= 24 * 60;
  if (fromDay === 0 || toDay === 0 || fromDay > toDay || !isTime) return 'malformed';
  const days = DAYS.map((_, index) => index + 1).filter((day) => day >= fromDay && day <= toDay);
  return { days, from, to };
}

const entries = z.string().transform((text, context): readonly PoolEntry[] => {
  if (text.trim() === NONE) return [];
  const parsed = text.split(',').map((entry) => parseEntry(entry.trim()));
  const wrong = new Set(parsed.filter((entry) => typeof entry === 'string'));
  if (wrong.size === 0) return parsed.filter((entry) => typeof entry !== 'string');
  context.addIssue({ code: 'custom', message: [...wrong].join(', and ') });
  return z.NEVER;
});
const timezone = z
  .string()
  .refine((name) => isTimezone(name), 'must be the name of a time zone, such as Europe/Berlin');
const refills = z
  .string()
  .regex(/^([1-9]|[1-5]\d|6[0-4])$/, 'must be a whole number from 1 to 64')
  .transform(Number);
const euros = z
  .string()
  .regex(/^\d{1,7}(\.\d{1,4})?$/, 'must be an amount in euros, such as 0.50')
  .transform(Number);

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Reads which servers wait for customers. Problems are collected in the reader. */
export function readPool(reader: EnvironmentReader): PoolSettings {
  return {
    entries: reader.read('POOL', entries),
    timezone: reader.read('POOL_TIMEZONE', timezone) ?? NO_POOL.timezone,
    refills: reader.read('POOL_REFILLS', refills) ?? NO_POOL.refills,
    eurosPerHour: reader.read('POOL_EUR_PER_HOUR', euros),
  };
}

/** How many slots there should be at a moment, by project, location and plan: the most that is demanded. */
export function poolSizesAt(
  { entries: all, timezone: timeZone }: Pick<PoolConfig, 'entries' | 'timezone'>,
  at: Date,
): Pick<PoolEntry, 'project' | 'location' | 'plan' | 'size'>[] {
  const { day, minute } = localTime(at, timeZone);
  const counts = ({ hours }: PoolEntry) =>
    hours === undefined || (hours.days.includes(day) && minute >= hours.from && minute < hours.to);
  const pools = Map.groupBy(all, ({ project, location, plan }) => `${project} ${location} ${plan}`);
  return [...pools.values()].map((ofPool) => ({
    project: ofPool[0]!.project,
    location: ofPool[0]!.location,
    plan: ofPool[0]!.plan,
    size: Math.max(0, ...ofPool.filter(counts).map(({ size }) => size)),
  }));
}

function localTime(at: Date, timeZone: string): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
  return {
    day: DAYS.indexOf(part('weekday').toLowerCase()) + 1,
    minute: Number(part('hour')) * 60 + Number(part('minute')),
  };
}
