import type { Timestamp } from './column-types.ts';

/** A Hetzner project, as the configuration and people have it. Every process places agents by these rows. */
export interface HetznerProjectTable {
  name: string;
  /** Its place in the configuration; null: it is not configured any more. */
  rank: number | null;
  /** Where its agents may be; null: everywhere. */
  locations: string[] | null;
  most_servers: number | null;
  /** Nothing new comes into it since then, and who decided so. */
  draining_since: Timestamp | null;
  drained_by: string | null;
  /** Hetzner has refused it a server for its limit: until then others are tried first. */
  full_until: Timestamp | null;
}
