import { AGENT_TAG } from '../../../stacks/tailnet.ts';
import { errorMessage, PermanentError, RetryableError, ShortageError } from '../../errors.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';
import { AccessError, type AdmittedServer } from '../../tailnet/admission/admission.ts';
import { renderAccessScript } from '../../tailnet/admission/scripts.ts';
import type { TailnetDevice } from '../../tailscale/tailscale.ts';
import { type Adoption, atPublicAddress } from './adopting.ts';
import { isAgentDevice } from './device.ts';
import { record } from './prepared.ts';
import { assertHeld, removeKeys } from './recovery.ts';

/** It has to be used at once; the server may have to install Tailscale before. */
const KEY_EXPIRY_SECONDS = 900;
const ACCESS_SECONDS = 60;
const ACCESS_POLL_MS = 3_000;
const ACCESS_HOURS = 24;
const JOIN_POLL_MS = 1_000;

/**
 * Lets the server join the tailnet under the agent's join name, which nothing else can guess. A kill leaves:
 *
 * - before the key is created: nothing;
 * - before the server has it: an unused key, whose secret is lost, and which the next attempt revokes;
 * - while the server runs the script: one that stops or goes on; repeating it is harmless;
 * - after the server has joined: its device, which the next attempt finds by the join name.
 *
 * @throws ShortageError while the server's owner has not let the service in; PermanentError once that takes
 * more than a day; RetryableError
 */
export async function admitServer(parts: RunbookParts, adoption: Adoption): Promise<TailnetDevice> {
  const { attempt } = adoption;
  const joined = await findJoined(parts, adoption);
  if (joined !== undefined) return joined;
  attempt.step('awaiting_access');
  const server = atPublicAddress(adoption.adopting, adoption.keys);
  await untilAccess(parts, adoption, server);
  attempt.step('joining_network');
  await join(parts, adoption, server);
  const look = () => findJoined(parts, adoption);
  const timeoutMs = parts.settings.joinTimeoutSeconds * 1000;
  const device = await poll(look, { intervalMs: JOIN_POLL_MS, timeoutMs, signal: attempt.signal });
  if (device === undefined)
    throw new RetryableError(`${server.address} did not appear on the tailnet within ${timeoutMs / 1000} s`);
  return device;
}

async function findJoined({ tailscale }: RunbookParts, { inputs }: Adoption) {
  const devices = await tailscale.listDevices();
  return devices.find((device) => isAgentDevice(device) && device.hostname === inputs.joinName);
}

async function untilAccess(parts: RunbookParts, adoption: Adoption, server: AdmittedServer) {
  const { admission } = parts;
  const { attempt, keys, isKeyNew } = adoption;
  if (admission === undefined)
    throw new PermanentError('Only a worker adopts servers: start one with EXECUTOR=local');
  let why: unknown;
  const check = async () => {
    try {
      await admission.check(server, attempt.signal);
      return true;
    } catch (error) {
      if (!(error instanceof AccessError)) throw error;
      if (why === undefined && isKeyNew) tellScript();
      why = error;
      return undefined;
    }
  };
  const tellScript = () => {
    attempt.log(`Run this on ${server.address} as root, so that this service may log in:`);
    for (const line of renderAccessScript(keys.sshPublicKey).split('\n')) attempt.log(line);
  };
  const polling = {
    intervalMs: ACCESS_POLL_MS,
    timeoutMs: (parts.accessSeconds ?? ACCESS_SECONDS) * 1000,
    signal: attempt.signal,
  };
  if ((await poll(check, polling)) === undefined) throw notLetIn(adoption, server.address, why);
}

function notLetIn({ inputs }: Adoption, address: string, why: unknown): Error {
  const waited = Date.now() - Date.parse(inputs.adopting?.since ?? '');
  if (waited > ACCESS_HOURS * 3_600_000)
    return new PermanentError(
      `${address} has not let the service in within ${ACCESS_HOURS} hours: ${errorMessage(why)}. Retry the operation and run the script of its log on the server, as root, or destroy the agent`,
    );
  return new ShortageError(`Waiting until ${address} lets the service in: ${errorMessage(why)}`);
}

/** The key's secret is in this process and on the server's disk until it has joined, and nowhere else. */
async function join(parts: RunbookParts, adoption: Adoption, server: AdmittedServer): Promise<void> {
  const { attempt, adopting, inputs, keys } = adoption;
  await record(parts, attempt, { inputs: { ...inputs, adopting: { ...adopting, isEntered: true } }, keys });
  await removeKeys(parts.tailscale, attempt);
  assertHeld(attempt);
  const tailnetKey = await parts.tailscale.createKey({
    description: `${inputs.serverName} ${inputs.keyGeneration}`,
    expirySeconds: KEY_EXPIRY_SECONDS,
    tags: [AGENT_TAG],
    ephemeral: false,
  });
  assertHeld(attempt);
  const joining = {
    joinName: inputs.joinName ?? '',
    tailnetKey,
    loginServer: inputs.loginServer,
    healthPort: inputs.healthPort,
    hostPrivateKey: keys.nextHostPrivateKey,
    hostPublicKey: keys.nextHostPublicKey,
  };
  await parts.admission?.admit(server, joining, attempt.signal);
}
