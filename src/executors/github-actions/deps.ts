import type { IdentityCheck } from '../../github/identity.ts';
import type { ClaimDeps } from './claim.ts';
import type { ReceiveDeps } from './receive.ts';
import type { RecordDeps } from './record.ts';

/** The dependencies of the runners' routes, besides database and queue. */
export interface RemoteDeps extends Omit<ClaimDeps & ReceiveDeps & RecordDeps, 'database' | 'queue'> {
  /** Checks a second proof besides the signature; undefined if the signature suffices. */
  checkIdentity?: IdentityCheck | undefined;
}
