import type { Config } from '../../config/config.ts';
import type { Connections, HetznerProjects } from '../../connections/connections.ts';
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
import {
  backupsProbe,
  hostProbes,
  type LiveProbeDeps,
  pluginProbes,
  stateKeyProbes,
  stripeProbes,
} from './live-probes.ts';
import { type Check, type Probe, runProbe } from './probe.ts';
import { hetznerProbe, tailscaleProbe } from './probes.ts';
import { projectsProbe } from './projects-probe.ts';
import { publicAddressProbe } from './public-address-probe.ts';
import { snapshotsProbe } from './snapshots-probe.ts';
import { stripeAccessProbe, webhookProbe } from './stripe-probes.ts';
import { policyProbe, scopesProbe, tagsProbe } from './tailscale-probes.ts';

/** A check, and those that can say nothing while it fails. */
export interface CheckTree {
  probe: Probe;
  next?: readonly CheckTree[];
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
export async function examine(trees: readonly CheckTree[]): Promise<Examination> {
  const parts = await Promise.all(trees.map(examineOne));
  return {
    findings: parts.flatMap(({ findings }) => findings),
    skipped: parts.flatMap(({ skipped }) => skipped),
  };
}

async function examineOne({ probe, next = [] }: CheckTree): Promise<Examination> {
  const check = await runProbe(probe);
  const finding = { ...check, blocks: !check.ok && probe.blocks('provision') };
  if (!check.ok)
    return { findings: [finding], skipped: namesIn(next).map((name) => ({ name, after: probe.name })) };
  const rest = await examine(next);
  return { findings: [finding, ...rest.findings], skipped: rest.skipped };
}

const namesIn = (trees: readonly CheckTree[]): string[] =>
  trees.flatMap(({ probe, next = [] }) => [probe.name, ...namesIn(next)]);

const alone = (probe: Probe): CheckTree => ({ probe });

export type ExaminationDeps = Omit<LiveProbeDeps, 'node'> & {
  /** Whether this host is on the tailnet, where that matters and can be told. */
  tailnet: Probe | undefined;
};

/** Everything that can be checked of an installation in live mode or in a rehearsal. */
export function allChecks(deps: ExaminationDeps): CheckTree[] {
  const { config, connections, tailnet } = deps;
  return [
    alone(toolsProbe({ ...config.tools, environment: config.childEnvironment })),
    ...pluginProbes(config, connections).map(alone),
    ...hostProbes(config, connections).map(alone),
    alone(stateNameProbe(connections.pulumi.url)),
    ...stateKeyProbes(config).map(alone),
    databaseTree(deps),
    tailscaleTree(connections),
    ...(tailnet === undefined ? [] : [alone(tailnet)]),
    ...stripeTrees(config, connections),
    ...addressTrees(config, connections),
  ];
}

/** What looks into the database, and Hetzner's project, which is known by what the database knows of it. */
function databaseTree({ config, connections, database }: ExaminationDeps): CheckTree {
  const { databaseUrl: url, pulumi, hcloud } = connections;
  const readStamp = async () => {
    const { identities, unknown } = await askIdentities(config, connections);
    return { mode: config.mode, accounts: connections.accounts, identities, unknown };
  };
  const inside = [
    privilegesProbe({ url, stateUrl: pulumi.url }),
    connectionsProbe(url),
    passphraseProbe(database, pulumi.keyring),
    accountsProbe(database, readStamp),
    queueProbe(database),
    serverLimitProbe(database),
    snapshotsProbe(database, config),
    backupsProbe(config, database),
    projectsProbe(hcloud.projects),
  ];
  return {
    probe: databaseProbe(url),
    next: [
      {
        probe: poolerProbe(url),
        next: [...inside.map(alone), ...hetznerTrees(hcloud.projects, { config, database })],
      },
    ],
  };
}

/** Hetzner sells the same in all projects: the first one is asked for it. */
function hetznerTrees(
  projects: HetznerProjects,
  { config, database }: Pick<ExaminationDeps, 'config' | 'database'>,
): CheckTree[] {
  return projects.map((project, index) => {
    const checked = { project: project.name, isOneOfSeveral: projects.length > 1 };
    const hetzner = createHetznerClient(project);
    const readAccess = () => readHetznerAccess(project);
    return {
      probe: hetznerProbe({ database, hetzner }, checked),
      next: [
        alone(hetznerAccessProbe(readAccess, checked)),
        alone(quotaProbe(readAccess, checked)),
        ...(index === 0 ? [alone(pricesProbe(hetzner, config.billing.plans.servers))] : []),
      ],
    };
  });
}

function tailscaleTree({ tailscale }: Connections): CheckTree {
  const client = createTailscaleClient(tailscale);
  const readTests = async () => (await readOurPolicy()).tests;
  return {
    probe: tailscaleProbe(client),
    next: [
      { probe: scopesProbe(() => findMissingScopes(tailscale)), next: [alone(tagsProbe(client))] },
      alone(policyProbe(createPolicyClient(tailscale), readTests)),
    ],
  };
}

function stripeTrees(config: Config, connections: Connections): CheckTree[] {
  const { stripe } = connections;
  const account = { secretKey: stripe.secretKey, apiUrl: stripe.apiUrl };
  const next = [
    ...(config.billing.mode === 'off' ? [] : [stripeAccessProbe(account)]),
    webhookProbe({ account, publicUrl: config.publicUrl, secrets: stripe.webhookSecrets }),
  ];
  return stripeProbes(config, connections).map((probe) => ({ probe, next: next.map(alone) }));
}

function addressTrees({ publicUrl }: Config, { stripe }: Connections): CheckTree[] {
  const [secret] = stripe.webhookSecrets;
  return secret === undefined ? [] : [alone(publicAddressProbe(publicUrl, secret))];
}
