import type { IdentityCheck } from '../../github/identity.ts';
import type { ClaimDeps } from './claim.ts';
import type { ReceiveDeps } from './receive.ts';
import type { RecordDeps } from './record.ts';

/** What it takes to serve runners, beside database and queue. */
export interface RemoteDeps extends Omit<ClaimDeps & ReceiveDeps & RecordDeps, 'database' | 'queue'> {
  /** A second proof that every message must carry beside its signature; undefined: the signature suffices. */
  checkIdentity?: IdentityCheck | undefined;
}
