import { z } from 'zod';
import { GithubError } from './errors.ts';

/** The sandbox's one account and repository; what it holds is the checkout that the sandbox runs from. */
export const repository = { owner: 'sandbox', name: 'agent-stacks', branch: 'main', workflowId: 1 };

export const workflowFile = 'provision-agent.yml';
export const workflowPath = `.github/workflows/${workflowFile}`;

const inputNames = ['job_id', 'agent_id', 'region', 'callback_url'] as const;
export type WorkflowInputs = Record<(typeof inputNames)[number], string>;

export type Dispatch = { ref: string; inputs: WorkflowInputs; wantsDetails: boolean };

const dispatchSchema = z.looseObject({
  ref: z.string().min(1).optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  return_run_details: z.boolean().optional(),
});

/**
 * What `POST …/dispatches` asks for. Throws the 422 that GitHub answers where it cannot be done.
 * Source: https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event
 */
export function parseDispatch(body: unknown, { runDetails }: { runDetails: boolean }): Dispatch {
  const parsed = dispatchSchema.safeParse(body ?? {});
  if (!parsed.success) throw invalid(`${parsed.error.issues[0]?.path.join('.')} is not of the right type.`);
  const { ref, inputs = {}, return_run_details: wantsDetails = false, ...others } = parsed.data;
  const unknown = Object.keys(others)[0] ?? (!runDetails && wantsDetails ? 'return_run_details' : undefined);
  if (unknown !== undefined) throw invalid(`"${unknown}" is not a permitted key.`);
  if (ref === undefined) throw invalid('"ref" wasn\'t supplied.');
  if (![repository.branch, `refs/heads/${repository.branch}`].includes(ref))
    throw new GithubError(422, `No ref found for: ${ref}`);
  return { ref, inputs: parseInputs(inputs), wantsDetails };
}

function parseInputs(inputs: Record<string, unknown>): WorkflowInputs {
  const unexpected = Object.keys(inputs).filter((name) => !inputNames.some((known) => known === name));
  if (unexpected.length > 0)
    throw new GithubError(422, `Unexpected inputs provided: ${JSON.stringify(unexpected)}`);
  for (const name of inputNames) {
    const value = inputs[name];
    if (value === undefined || value === '')
      throw new GithubError(422, `Required input '${name}' not provided`);
    if (typeof value !== 'string')
      throw invalid(`For 'properties/inputs/${name}', ${value} is not a string.`);
  }
  return inputs as WorkflowInputs;
}

const invalid = (what: string) => new GithubError(422, `Invalid request.\n\n${what}`);
