import { createHmac, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Secrets that a sandbox installation generates at its first start and keeps. */
const schema = z.object({
  apiToken: z.string(),
  pulumiPassphrase: z.string(),
  githubCallbackSecret: z.string(),
  sandboxTokens: z.object({
    hcloudToken: z.string().length(64),
    tailscaleApiKey: z.string(),
    tailscaleOauthClientId: z.string(),
    tailscaleOauthClientSecret: z.string(),
    stripeSecretKey: z.string(),
    stripeWebhookSecret: z.string(),
    githubToken: z.string().optional(),
  }),
});

/** An installation from before GitHub was supported derives a token that is the same at every start. */
const withGithubToken = schema.transform((secrets) => ({
  ...secrets,
  sandboxTokens: {
    ...secrets.sandboxTokens,
    githubToken:
      secrets.sandboxTokens.githubToken ??
      `github_pat_${createHmac('sha256', secrets.githubCallbackSecret).update('token').digest('hex')}`,
  },
}));
export type InstallationSecrets = z.infer<typeof withGithubToken>;

/** Reads DATA_DIR/secrets.json (0600), which the first start creates atomically. */
export function loadInstallationSecrets(dataDir: string): InstallationSecrets {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, 'secrets.json');
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(generate(), null, 2)}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return withGithubToken.parse(JSON.parse(readFileSync(file, 'utf8')));
}

function generate(): z.input<typeof schema> {
  const hex = (bytes: number) => randomBytes(bytes).toString('hex');
  return {
    apiToken: hex(24),
    pulumiPassphrase: hex(24),
    githubCallbackSecret: hex(32),
    sandboxTokens: {
      hcloudToken: hex(32),
      tailscaleApiKey: `tskey-api-${hex(6)}-${hex(16)}`,
      tailscaleOauthClientId: `k${hex(8)}`,
      tailscaleOauthClientSecret: `tskey-client-k${hex(6)}-${hex(16)}`,
      stripeSecretKey: `sk_test_${hex(24)}`,
      stripeWebhookSecret: `whsec_${hex(24)}`,
      githubToken: `github_pat_${hex(24)}`,
    },
  };
}
