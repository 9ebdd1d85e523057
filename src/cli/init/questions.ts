import type { TailscaleAccount } from '../../config/accounts.ts';
import { oneWord } from '../../config/environment-reader.ts';
import { httpUrl, postgresUrl, stripeKey } from '../../config/fields.ts';
import { databaseProbe, poolerProbe, privilegesProbe } from '../../reconcile/checks/database-probes.ts';
import { runProbe } from '../../reconcile/checks/probe.ts';
import { stripeProbe, tailscaleProbe } from '../../reconcile/checks/probes.ts';
import { stripeAccessProbe } from '../../reconcile/checks/stripe-probes.ts';
import { scopesProbe } from '../../reconcile/checks/tailscale-probes.ts';
import { Secret } from '../../secret.ts';
import { findMissingScopes } from '../../tailscale/scopes.ts';
import { createTailscaleClient } from '../../tailscale/tailscale.ts';
import { projectsQuestion } from './hetzner-questions.ts';
import type { Answers, Question } from './question.ts';

const DATABASE_WHERE = `PostgreSQL 15 or newer. As its superuser:
    CREATE ROLE agents LOGIN CREATEROLE CREATEDB PASSWORD '…';
    CREATE DATABASE agents OWNER agents;`;
const TAILSCALE_WHERE =
  'Tailscale’s console → Settings → Trust credentials → OAuth client: auth_keys and devices:core (write), policy_file if this ' +
  'command is to change the policy, and the tag tag:controller.';
const STRIPE_WHERE =
  'Stripe’s console → Developers → API keys: a secret key, or a restricted one that may read Subscriptions, Invoices, Charges, ' +
  'Disputes and Events (and write Webhook Endpoints, if this command is to make the endpoint).';

export const QUESTIONS: readonly Question[] = [
  {
    variable: 'PUBLIC_URL',
    title: 'The address at which Stripe and buyers reach this service',
    where: 'A name of yours with TLS in front of this service, such as https://agents.example.com.',
    isSecret: false,
    schema: httpUrl,
    probes: () => [],
  },
  {
    variable: 'DATABASE_URL',
    title: 'The address of the database (postgres://…)',
    where: DATABASE_WHERE,
    isSecret: true,
    schema: postgresUrl,
    probes: ({ DATABASE_URL = '' }) => {
      const url = new Secret(DATABASE_URL);
      return [databaseProbe(url), poolerProbe(url), privilegesProbe({ url, stateUrl: url })];
    },
  },
  projectsQuestion,
  {
    variable: 'TAILSCALE_OAUTH_CLIENT_ID',
    title: 'The id of Tailscale’s OAuth client',
    where: TAILSCALE_WHERE,
    isSecret: false,
    schema: oneWord,
    probes: () => [],
  },
  {
    variable: 'TAILSCALE_OAUTH_CLIENT_SECRET',
    title: 'The secret of that client (tskey-client-…)',
    where: 'It was shown when the client was made.',
    isSecret: true,
    schema: oneWord,
    probes: (answers) => {
      const account = toTailscaleAccount(answers);
      return [scopesProbe(() => findMissingScopes(account)), tailscaleProbe(createTailscaleClient(account))];
    },
  },
  {
    variable: 'STRIPE_SECRET_KEY',
    title: 'Stripe’s API key',
    where: STRIPE_WHERE,
    isSecret: true,
    schema: stripeKey,
    probes: (answers) => {
      const account = toStripeAccount(answers);
      return [stripeProbe(account), stripeAccessProbe(account)];
    },
  },
];

export function toStripeAccount({ STRIPE_SECRET_KEY = '', STRIPE_API_URL }: Answers) {
  return { secretKey: new Secret(STRIPE_SECRET_KEY), apiUrl: STRIPE_API_URL };
}

export function toTailscaleAccount(answers: Answers): TailscaleAccount {
  return {
    credential: {
      kind: 'oauth',
      clientId: answers.TAILSCALE_OAUTH_CLIENT_ID ?? '',
      clientSecret: new Secret(answers.TAILSCALE_OAUTH_CLIENT_SECRET ?? ''),
    },
    tailnet: answers.TAILSCALE_TAILNET ?? '-',
    baseUrl: answers.TAILSCALE_BASE_URL ?? 'https://api.tailscale.com',
    loginServer: undefined,
  };
}

/** @returns what is wrong with an answer, and what mends it; undefined if it is right */
export async function findProblem(question: Question, answers: Answers): Promise<string | undefined> {
  const parsed = question.schema.safeParse(answers[question.variable]);
  if (!parsed.success) return `${question.variable} ${parsed.error.issues[0]?.message ?? 'is malformed'}`;
  for (const probe of question.probes(answers)) {
    const { ok, detail, cure } = await runProbe(probe);
    if (!ok) return [detail, cure].filter(Boolean).join('. ');
  }
  return undefined;
}
