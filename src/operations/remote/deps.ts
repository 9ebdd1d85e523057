import type { ClaimDeps } from './claim.ts';
import type { ReceiveDeps } from './receive.ts';
import type { RecordDeps } from './record.ts';

/** What it takes to serve runners, beside database and queue. */
export type RemoteDeps = Omit<ClaimDeps & ReceiveDeps & RecordDeps, 'database' | 'queue'>;
