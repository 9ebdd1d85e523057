import { tokenVariable } from '../config/hetzner-projects.ts';
import type { EngineConnections } from '../connections/connections.ts';
import { PermanentError } from '../errors.ts';

/**
 * Checks that the workflow has handed the token of the agent's Hetzner project over.
 * @throws PermanentError that says what is missing in the workflow
 */
export function refuseOtherProject(
  { hcloud }: Pick<EngineConnections, 'hcloud'>,
  { project }: { project: string },
): void {
  if (hcloud.projects.some(({ name }) => name === project)) return;
  throw new PermanentError(
    `The agent is in the Hetzner project ${project}, and the workflow hands no ${tokenVariable(project)} over: ` +
      'add the secret, and a line for it to the step (docs/github-actions.md)',
  );
}
