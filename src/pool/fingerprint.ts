import { createHash } from 'node:crypto';
import { renderUserData } from '../../stacks/user-data.ts';
import { serverFor } from '../agents/plans.ts';
import type { PlanServers } from '../config/plans.ts';
import type { ProvisionSettings } from '../operations/runbook-parts.ts';

/** Increase this when something else about new servers changes, so that waiting ones are replaced. */
const VERSION = 1;

/** What a server is made by and from, apart from its own names and keys. */
export function fingerprintFor(
  settings: Pick<ProvisionSettings, 'configurationVersion' | 'healthPort' | 'loginServer' | 'planServers'>,
  { plan, location }: { plan: string; location: string },
): string {
  const { configurationVersion, healthPort, loginServer, planServers } = settings;
  const text = '-';
  const userData = renderUserData({
    hostname: text,
    joinName: text,
    tailnetKey: text,
    adminPublicKey: text,
    hostPrivateKey: text,
    hostPublicKey: text,
    loginServer,
  });
  const parts = [
    VERSION,
    configurationVersion,
    healthPort,
    userData,
    serverFor(plan, location),
    planServers?.[plan as keyof PlanServers] ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
