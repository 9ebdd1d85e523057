import * as pulumi from '@pulumi/pulumi';
import type { TailnetKey } from '@pulumi/tailscale/tailnetKey.js';
import { type AgentInputs, type AgentSecrets, agentName, isOwnImage, toServerName } from './inputs.ts';
import { renderUserData, renderWakingUserData } from './user-data.ts';

/** What a server's disk is made from, what its first boot does, and how long that may take Hetzner. */
export interface Disk {
  image: string;
  userData: pulumi.Output<string>;
  createTimeout: string;
}

export const newDisk = (inputs: AgentInputs, secrets: AgentSecrets, tailnetKey: TailnetKey): Disk => ({
  image: inputs.image,
  userData: initialUserData(inputs, secrets, tailnetKey),
  createTimeout: '10m',
});

/**
 * `tailnetKey`: the key with which it joins as a new device; unset if its disk has the recorded one's
 * identity.
 */
export const restoredDisk = (inputs: AgentInputs, snapshotId: string, tailnetKey?: TailnetKey): Disk => ({
  image: snapshotId,
  userData: wakingUserData(inputs, tailnetKey),
  createTimeout: '30m',
});

function wakingUserData(inputs: AgentInputs, tailnetKey: TailnetKey | undefined): pulumi.Output<string> {
  const hostname = toServerName(inputs);
  if (tailnetKey === undefined) return pulumi.output(renderWakingUserData({ hostname }));
  const { loginServer } = inputs;
  const joinName = hostnameToJoin(inputs);
  return tailnetKey.key.apply((key) =>
    renderWakingUserData({ hostname, joining: { joinName, tailnetKey: key, loginServer } }),
  );
}

function initialUserData(
  inputs: AgentInputs,
  secrets: AgentSecrets,
  { key }: TailnetKey,
): pulumi.Output<string> {
  return key.apply((tailnetKey) =>
    renderUserData({
      hostname: toServerName(inputs),
      joinName: hostnameToJoin(inputs),
      tailnetKey,
      adminPublicKey: inputs.sshPublicKey,
      hostPrivateKey: secrets.hostPrivateKey,
      hostPublicKey: inputs.hostPublicKey,
      loginServer: inputs.loginServer,
      isFromOwnImage: isOwnImage(inputs.image),
    }),
  );
}

/** The hostname under which its server joins the tailnet. */
export const hostnameToJoin = ({ joinName, agentId }: AgentInputs): string => joinName ?? agentName(agentId);
