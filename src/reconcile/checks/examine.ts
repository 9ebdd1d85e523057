import type { Config } from '../../config/config.ts';
import type { Connections } from '../../connections/connections.ts';
import { readHetznerAccess } from '../../hetzner/access.ts';
import { createHetznerClient } from '../../hetzner/hetzner.ts';
import { readOurPolicy } from '../../tailscale/our-policy.ts';
import { createPolicyClient } from '../../tailscale/policy.ts';
import { findMissingScopes } from '../../tailscale/scopes.ts';
import { createTailscaleClient } from '../../tailscale/tailscale.ts';
import { askIdentities } from '../live-identities.ts';
import {
  accountsProbe,
  connectionsProbe,
  databaseProbe,
  passphraseProbe,
  poolerProbe,
  privilegesProbe,
  queueProbe,
  stateNameProbe,
} from './database-probes.ts';
import { hetznerAccessProbe, pricesProbe, quotaProbe, serverLimitProbe } from './hetzner-probes.ts';
import { toolsProbe } from './host-probes.ts';
import { hostProbes, type LiveProbeDeps, pluginProbes, stripeProbes } from './live-probes.ts';
import { type Check, type Probe, runProbe } from './probe.ts';
import { hetznerProbe, tailnetProbe, tailscaleProbe } from './probes.ts';
import { publicAddressProbe } from './public-address-probe.ts';
import { stripeAccessProbe, webhookProbe } from './stripe-probes.ts';
import { policyProbe, scopesProbe, tagsProbe } from './tailscale-probes.ts';

/** A check, and those that can say nothing while it fails. */
export interface Stage {
  probe: Probe;
  then?: readonly Stage[];
}

export interface Finding extends Check {
  /** Whether orders wait while it fails. */
  blocks: boolean;
}

export interface Examination {
  findings: Finding[];
  /** Checks that were not made, each with the failed one before it. */
  skipped: { name: string; after: string }[];
}

/** Makes all checks: those beside each other at once, those behind another one if that one passes. */
export async function examine(stages: readonly Stage[]): Promise<Examination> {
  const parts = await Promise.all(stages.map(examineStage));
  return {
    findings: parts.flatMap(({ findings }) => findings),
    skipped: parts.flatMap(({ skipped }) => skipped),
  };
}

async function examineStage({ probe, then = [] }: Stage): Promise<Examination> {
  const check = await runProbe(probe);
  const finding = { ...check, blocks: !check.ok && probe.blocks('provision') };
  if (!check.ok)
    return { findings: [finding], skipped: namesIn(then).map((name) => ({ name, after: probe.name })) };
  const rest = await examine(then);
  return { findings: [finding, ...rest.findings], skipped: rest.skipped };
}

const namesIn = (stages: readonly Stage[]): string[] =>
  stages.flatMap(({ probe, then = [] }) => [probe.name, ...namesIn(then)]);

const alone = (probe: Probe): Stage => ({ probe });

/** Everything that can be checked of an installation in live mode or in a rehearsal. */
export function allStages(deps: LiveProbeDeps): Stage[] {
  const { config, connections } = deps;
  return [
    alone(toolsProbe({ ...config.tools, environment: config.childEnvironment })),
    ...pluginProbes(config, connections).map(alone),
    ...hostProbes(config, connections).map(alone),
    alone(stateNameProbe(connections.pulumi.url)),
    databaseStages(deps),
    tailscaleStage(connections),
    ...(connections.machines === 'simulated' ? [] : [alone(tailnetProbe(deps.node))]),
    ...stripeStages(config, connections),
    ...addressStages(config, connections),
  ];
}

/** What looks into the database, and Hetzner's project, which is known by what the database knows of it. */
function databaseStages({ config, connections, database }: LiveProbeDeps): Stage {
  const { databaseUrl: url, pulumi, hcloud } = connections;
  const hetzner = createHetznerClient(hcloud);
  const readAccess = () => readHetznerAccess(hcloud);
  const readStamp = async () => {
    const { identities, unknown } = await askIdentities(config, connections);
    return { mode: config.mode, accounts: connections.accounts, identities, unknown };
  };
  const ofHetzner: Stage = {
    probe: hetznerProbe({ database, hetzner }),
    then: [
      alone(hetznerAccessProbe(readAccess)),
      alone(quotaProbe(readAccess)),
      alone(pricesProbe(hetzner, config.billing.plans.servers)),
    ],
  };
  const inside = [
    privilegesProbe({ url, stateUrl: pulumi.url }),
    connectionsProbe(url),
    passphraseProbe(database, pulumi.passphrase),
    accountsProbe(database, readStamp),
    queueProbe(database),
    serverLimitProbe(database),
  ];
  return {
    probe: databaseProbe(url),
    then: [{ probe: poolerProbe(url), then: [...inside.map(alone), ofHetzner] }],
  };
}

function tailscaleStage({ tailscale }: Connections): Stage {
  const client = createTailscaleClient(tailscale);
  const readTests = async () => (await readOurPolicy()).tests;
  return {
    probe: tailscaleProbe(client),
    then: [
      { probe: scopesProbe(() => findMissingScopes(tailscale)), then: [alone(tagsProbe(client))] },
      alone(policyProbe(createPolicyClient(tailscale), readTests)),
    ],
  };
}

function stripeStages(config: Config, connections: Connections): Stage[] {
  const { stripe } = connections;
  const account = { secretKey: stripe.secretKey, apiUrl: stripe.apiUrl };
  const then = [
    ...(config.billing.mode === 'off' ? [] : [stripeAccessProbe(account)]),
    webhookProbe({ account, publicUrl: config.publicUrl, secrets: stripe.webhookSecrets }),
  ];
  return stripeProbes(config, connections).map((probe) => ({ probe, then: then.map(alone) }));
}

function addressStages({ publicUrl }: Config, { stripe }: Connections): Stage[] {
  const [secret] = stripe.webhookSecrets;
  return secret === undefined ? [] : [alone(publicAddressProbe(publicUrl, secret))];
}
