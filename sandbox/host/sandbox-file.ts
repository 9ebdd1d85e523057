import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** DATA_DIR/sandbox.json: with these any third-party tool can be pointed at the running sandbox. */
const schema = z.object({
  url: z.string(),
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
});
export type SandboxFile = z.infer<typeof schema>;

const pathOf = (dataDir: string) => join(dataDir, 'sandbox.json');

/** Written whole or not at all, readable by its owner alone. */
export function writeSandboxFile(dataDir: string, content: SandboxFile): void {
  const draft = `${pathOf(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, pathOf(dataDir));
}

/** undefined where no sandbox runs on this DATA_DIR. */
export function readSandboxFile(dataDir: string): SandboxFile | undefined {
  return existsSync(pathOf(dataDir))
    ? schema.parse(JSON.parse(readFileSync(pathOf(dataDir), 'utf8')))
    : undefined;
}

export function removeSandboxFile(dataDir: string): void {
  rmSync(pathOf(dataDir), { force: true });
}
