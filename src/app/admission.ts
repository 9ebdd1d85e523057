import type { Connections } from '../connections/connections.ts';
import {
  type Admission,
  createSimulatedAdmission,
  createSshAdmission,
} from '../tailnet/admission/admission.ts';
import { createGateDial } from '../tailnet/admission/gate-dial.ts';
import { type Dial, dialDirectly } from '../tailnet/agent-health.ts';

/**
 * How servers that were made by hand are let in. `dial`: that of the controller's node, if it has one. The
 * public addresses of the sandbox's machines exist only in their own network, into which its gate leads.
 */
export function openAdmission(
  { machines, healthAddress, networkUrl }: Pick<Connections, 'machines' | 'healthAddress' | 'networkUrl'>,
  dial: Dial = dialDirectly,
): Admission {
  if (machines === 'simulated') return createSimulatedAdmission(healthAddress);
  const dialPublic = networkUrl === undefined ? dialDirectly : createGateDial(networkUrl);
  return createSshAdmission({ dialPublic, dialTailnet: dial });
}
