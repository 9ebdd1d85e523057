import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import { createCall, HETZNER, type HetznerAccount, withName } from './calls.ts';

/** The calls that only a restore drill makes: everything else is created by the stacks. */
export interface DrillCalls {
  /**
   * Returns the id of the firewall that lets nothing in and nothing out; creates it if it is missing.
   * @throws PermanentError if somebody has opened it
   */
  ensureClosedFirewall(): Promise<number>;
  /** Returns the id of that firewall; undefined if it is missing, or somebody has opened it. */
  findClosedFirewall(): Promise<number | undefined>;
  /** Orders a server behind a firewall, which Hetzner applies before it starts. @returns its id */
  createServer(wanted: DrillServer): Promise<string>;
  /** Whether Hetzner has started a server since it was ordered, even if it is off again. */
  wasStarted(serverId: string): Promise<boolean>;
}

export interface DrillServer {
  name: string;
  serverType: string;
  location: string;
  /** Hetzner's id of the snapshot. */
  image: string;
  firewallId: number;
  /** An SSH key's id: without one Hetzner mails a password for root. */
  sshKeyId: string | undefined;
  userData: string;
  labels: Record<string, string>;
}

const CLOSED = 'agents-drill';
/**
 * A firewall without rules for what goes out lets everything out. One rule closes it; this one leads to
 * addresses that no network has. @see https://docs.hetzner.cloud/reference/cloud#firewalls
 */
const RULES = [{ direction: 'out', protocol: 'icmp', destination_ips: ['192.0.2.1/32'] }] as const;

const rule = z.object({ direction: z.string(), destination_ips: z.array(z.string()).default([]) });
const firewall = z.object({ id: z.number(), rules: z.array(rule) });

function isClosed({ rules: [only, ...others] }: z.infer<typeof firewall>): boolean {
  const leadsNowhere = only?.direction === 'out' && String(only.destination_ips) === '192.0.2.1/32';
  return leadsNowhere && others.length === 0;
}

export function createDrillCalls(account: HetznerAccount): DrillCalls {
  const call = createCall(account);
  const find = async () => {
    const listed = await call('GET', `/firewalls?${withName(CLOSED)}`);
    return parseAnswer(z.object({ firewalls: z.array(firewall) }), listed, HETZNER).firewalls[0];
  };
  return {
    ensureClosedFirewall: async () => {
      const there = (await find()) ?? (await create());
      if (!isClosed(there))
        throw new PermanentError(
          `The firewall ${CLOSED} (${there.id}) is open at Hetzner: delete it there, and it is made again`,
        );
      return there.id;
    },
    findClosedFirewall: async () => {
      const there = await find();
      return there !== undefined && isClosed(there) ? there.id : undefined;
    },
    createServer: async ({ serverType, firewallId, sshKeyId, userData, ...wanted }) => {
      const body = {
        ...wanted,
        server_type: serverType,
        firewalls: [{ firewall: firewallId }],
        ssh_keys: sshKeyId === undefined ? [] : [Number(sshKeyId)],
        user_data: userData,
        start_after_create: true,
      };
      const made = parseAnswer(created, await call('POST', '/servers', { body }), HETZNER);
      return String(made.server.id);
    },
    wasStarted: async (serverId) => {
      const listed = await call('GET', `/servers/${serverId}/actions?status=success`);
      const { actions } = parseAnswer(succeeded, listed, HETZNER);
      return actions.some(({ command }) => command === 'start_server');
    },
  };
  async function create() {
    const body = { name: CLOSED, rules: RULES };
    return parseAnswer(z.object({ firewall }), await call('POST', '/firewalls', { body }), HETZNER).firewall;
  }
}

const created = z.object({ server: z.object({ id: z.number() }) });
const succeeded = z.object({ actions: z.array(z.object({ command: z.string() })) });
