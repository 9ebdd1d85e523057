import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import type { Outcome } from './run-job.ts';

/** Outputs reach the next step in environment variables, which are limited in length. */
const LONGEST_ERROR = 4_000;

/**
 * What the workflow's last steps report: the server's addresses where it was a provision, or what went wrong
 * and where.
 */
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
