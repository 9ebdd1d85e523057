import { z } from 'zod';
import { GithubError } from './errors.ts';

/** The sandbox's only account and repository. Its content is the checkout that the sandbox runs from. */
export const REPOSITORY = { owner: 'sandbox', name: 'agent-stacks', branch: 'main', workflowId: 1 };

export const WORKFLOW_FILE = 'provision-agent.yml';
export const WORKFLOW_PATH = `.github/workflows/${WORKFLOW_FILE}`;

const INPUT_NAMES = ['job_id', 'agent_id', 'region', 'callback_url'] as const;
export type WorkflowInputs = Record<(typeof INPUT_NAMES)[number], string>;

export interface Dispatch {
  ref: string;
  inputs: WorkflowInputs;
  wantsDetails: boolean;
}

const dispatchSchema = z.looseObject({
  ref: z.string().min(1).optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  return_run_details: z.boolean().optional(),
});

/**
 * Parses the body of `POST …/dispatches`. @throws GithubError 422 with GitHub's message
 * Source: https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event
 */
export function parseDispatch(body: unknown, { runDetails }: { runDetails: boolean }): Dispatch {
  const parsed = dispatchSchema.safeParse(body ?? {});
  if (!parsed.success) throw invalid(`${parsed.error.issues[0]?.path.join('.')} is not of the right type.`);
  const { ref, inputs = {}, return_run_details: wantsDetails = false, ...others } = parsed.data;
  const unknown = Object.keys(others)[0] ?? (!runDetails && wantsDetails ? 'return_run_details' : undefined);
  if (unknown !== undefined) throw invalid(`"${unknown}" is not a permitted key.`);
  if (ref === undefined) throw invalid('"ref" wasn\'t supplied.');
  if (![REPOSITORY.branch, `refs/heads/${REPOSITORY.branch}`].includes(ref))
    throw new GithubError(422, `No ref found for: ${ref}`);
  return { ref, inputs: parseInputs(inputs), wantsDetails };
}

function parseInputs(inputs: Record<string, unknown>): WorkflowInputs {
  const unexpected = Object.keys(inputs).filter((name) => !INPUT_NAMES.some((known) => known === name));
  if (unexpected.length > 0)
    throw new GithubError(422, `Unexpected inputs provided: ${JSON.stringify(unexpected)}`);
  for (const name of INPUT_NAMES) {
    const value = inputs[name];
    if (value === undefined || value === '')
      throw new GithubError(422, `Required input '${name}' not provided`);
    if (typeof value !== 'string')
      throw invalid(`For 'properties/inputs/${name}', ${value} is not a string.`);
  }
  return inputs as WorkflowInputs;
}

const invalid = (what: string) => new GithubError(422, `Invalid request.\n\n${what}`);
