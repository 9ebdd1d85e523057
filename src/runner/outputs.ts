import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import type { Outcome } from './run-job.ts';

/** The next step gets outputs as environment variables, whose length is limited. */
const LONGEST_ERROR = 4_000;

/** The outputs that the workflow's last steps report: the server's addresses, if any, or the failure. */
export function toWorkflowOutputs(outcome: Outcome): Record<string, string> {
  if (outcome.status === 'failed')
    return { error: outcome.error.slice(0, LONGEST_ERROR), failed_step: outcome.failedStep };
  if (!('outputs' in outcome.effect)) return {};
  const { serverId, ipv4, ipv6, tailnetIp } = outcome.effect.outputs;
  return { server_id: serverId, server_ip: ipv4 ?? ipv6 ?? '', tailscale_ip: tailnetIp };
}

/** Writes GitHub's format for multi-line values, with a random delimiter that no value can contain. */
export function writeOutputs(file: string, outputs: Record<string, string>): void {
  for (const [name, value] of Object.entries(outputs)) {
    const end = `end-${randomBytes(12).toString('hex')}`;
    appendFileSync(file, `${name}<<${end}\n${value}\n${end}\n`);
  }
}
