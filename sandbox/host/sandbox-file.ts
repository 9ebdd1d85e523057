import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** DATA_DIR/sandbox.json: the addresses and credentials with which third-party tools can use the sandbox. */
const schema = z.object({
  url: z.string(),
  /** Where dashboard and API are, if they are on a listener of their own. */
  operatorUrl: z.string().optional(),
  apiToken: z.string(),
  stripeApiUrl: z.string(),
  stripeApiKey: z.string(),
  stripeWebhookSecret: z.string(),
  githubApiUrl: z.string(),
  githubCallbackSecret: z.string(),
  hcloudEndpoint: z.string(),
  hcloudToken: z.string(),
  tailscaleBaseUrl: z.string(),
  tailscaleApiKey: z.string(),
  tailscaleOauthClientId: z.string(),
  tailscaleOauthClientSecret: z.string(),
  tailscaleLoginServer: z.string(),
  databaseUrl: z.string(),
  pulumiBackendUrl: z.string(),
  pulumiPassphrase: z.string(),
  /** While it changes: the one that it replaces. */
  pulumiPassphraseBefore: z.string().optional(),
});
export type SandboxFile = z.infer<typeof schema>;

const filePath = (dataDir: string) => join(dataDir, 'sandbox.json');

/** Writes the file atomically, readable only by its owner. */
export function writeSandboxFile(dataDir: string, content: SandboxFile): void {
  const draft = `${filePath(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, filePath(dataDir));
}

/** Reads the file; undefined if no sandbox runs on this DATA_DIR. */
export function readSandboxFile(dataDir: string): SandboxFile | undefined {
  return existsSync(filePath(dataDir))
    ? schema.parse(JSON.parse(readFileSync(filePath(dataDir), 'utf8')))
    : undefined;
}

export function removeSandboxFile(dataDir: string): void {
  rmSync(filePath(dataDir), { force: true });
}
