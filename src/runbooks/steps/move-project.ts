import type { Attempt } from '../../operations/attempt.ts';
import { inProject, type RunbookParts } from '../../operations/runbook-parts.ts';
import { findResources } from './own-server.ts';
import { clearPending, removeFromHetzner, removeFromTailnet } from './recovery.ts';

/**
 * After an attempt that found its agent's Hetzner project full: moves the agent to one with room, if it has
 * no server. Everything that it has in the former one is removed before the row names the other, so a kill at
 * any line leaves either the former project, where the next attempt begins from nothing, or the new one. What
 * Hetzner makes late in the former one all the same, the sweep finds by its labels and removes.
 * @returns parts and attempt in the project that the agent is in now
 */
export async function moveIfFull(
  parts: RunbookParts,
  attempt: Attempt,
): Promise<{ parts: RunbookParts; attempt: Attempt }> {
  const stays = { parts, attempt };
  const { agent, operation } = attempt;
  if (operation.attempt === 1 || parts.projects === undefined) return stays;
  const to = await parts.projects.findOther(attempt);
  if (to === undefined) return stays;
  const there = inProject(parts, to);
  const stackExists = await clearPending(parts.executor, attempt);
  const { serverId } = await findResources(parts.hetzner, agent);
  if (serverId !== undefined || agent.server_id !== null) return stays;
  attempt.log(`The Hetzner project ${agent.project} is full: moving to ${to}`);
  if (stackExists) await parts.executor.destroy(attempt, agent.stack_name);
  await removeFromHetzner(parts.hetzner, attempt);
  await removeFromTailnet(parts, attempt);
  await parts.projects.move(attempt, to);
  return { parts: there, attempt: { ...attempt, agent: { ...agent, project: to, inputs: null } } };
}
