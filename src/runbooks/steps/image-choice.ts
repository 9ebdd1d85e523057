import { type AgentInputs, isOwnImage } from '../../../stacks/inputs.ts';
import { serverFor } from '../../agents/plans.ts';
import { PermanentError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { type Prepared, record } from './prepared.ts';
import { isComplete } from './snapshots.ts';

type Deps = Pick<RunbookParts, 'images' | 'hetzner' | 'recordInputs' | 'vault' | 'settings'>;

/** As the providers print Hetzner's code for a request whose content it does not accept. */
const INVALID_INPUT = /\(invalid_input(,|\))/;

/** Hetzner's own image of the plan, which every server can be made from. */
const ordinaryImage = ({ plan, location }: { plan: string; location: string }): string =>
  serverFor(plan, location).image;

/**
 * Records what the server is made from and by: on a first attempt the newest image that fits, afterwards the
 * recorded one, as long as this process can tell that servers are made from it: a runner cannot. Once it is
 * recorded, no prune removes it.
 */
export async function recordWithImage(parts: Deps, attempt: Attempt, prepared: Prepared): Promise<Prepared> {
  const { agent } = attempt;
  const { project, serverType, configurationVersion: version } = prepared.inputs;
  const found =
    agent.inputs === null ? await parts.images?.find({ project, version, serverType }) : undefined;
  const inputs = { ...prepared.inputs, ...(found !== undefined && { image: found }) };
  await record(parts, attempt, { ...prepared, inputs });
  if (!isOwnImage(inputs.image) || (await parts.images?.isUsable(inputs.image)) === true)
    return { ...prepared, inputs };
  attempt.log(`Image ${inputs.image} is not used`);
  const ordinary = { ...prepared, inputs: { ...inputs, image: ordinaryImage(agent) } };
  await record(parts, attempt, ordinary);
  return ordinary;
}

/** After a server of the image did not boot or join: doubts the image, and returns inputs without it. */
export async function withoutImage(
  { images }: Pick<Deps, 'images'>,
  attempt: Attempt,
  { inputs, why }: { inputs: AgentInputs; why: string },
): Promise<AgentInputs> {
  if (!isOwnImage(inputs.image)) return inputs;
  const isBad = await images?.doubt(inputs.image, { ownerId: inputs.agentId, why });
  const said = isBad === true ? 'is not used again' : 'is not used for this server';
  attempt.log(`Image ${inputs.image} ${said}: making it from the ordinary one`);
  return { ...inputs, image: ordinaryImage(attempt.agent) };
}

/**
 * Decides what follows if Hetzner did not create a server from an image: one that is gone or incomplete is
 * bad, and one that it refuses for this server is not used for it.
 * @returns inputs with the ordinary image; undefined if the image is not the reason
 */
export async function afterRefusal(
  parts: Pick<Deps, 'images' | 'hetzner'>,
  attempt: Attempt,
  { inputs, error }: { inputs: AgentInputs; error: unknown },
): Promise<AgentInputs | undefined> {
  if (!isOwnImage(inputs.image) || parts.images === undefined) return undefined;
  attempt.signal.throwIfAborted();
  if ((await parts.hetzner.findServer(inputs.serverName ?? '')) !== undefined) return undefined;
  const snapshot = await parts.hetzner.getSnapshot(inputs.image);
  if (snapshot === undefined || !isComplete(snapshot)) {
    const what = snapshot === undefined ? 'is no longer at Hetzner' : 'is not complete';
    await parts.images.markBad(inputs.image, `Snapshot ${inputs.image} ${what} (${inputs.agentId})`);
    attempt.log(`Image ${inputs.image} is not used again: its snapshot ${what}`);
    return { ...inputs, image: ordinaryImage(attempt.agent) };
  }
  if (!(error instanceof PermanentError && INVALID_INPUT.test(error.message))) return undefined;
  attempt.log(`Hetzner made no server from image ${inputs.image}: ${error.message}`);
  return { ...inputs, image: ordinaryImage(attempt.agent) };
}
