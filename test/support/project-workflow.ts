import { cp, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { siblingUrl } from '../../src/config/database-url.ts';
import { createEnvironment } from './commands.ts';
import { type Installation, ROOT } from './installation.ts';
import type { Rehearsal } from './rehearsal.ts';
import { makeCheckout, optionsFor } from './sandbox-github.ts';
import { scriptsFolder, workflowUrl } from './workflow.ts';

export const CALLBACK_SECRET = 'the callback secret of the projects';

/** The comment in the workflow that shows the line of a further project. */
const EXAMPLE = / # (HCLOUD_TOKEN_US: \$\{\{ secrets\.HCLOUD_TOKEN_US \}\})/;

/**
 * A runner's machine for a rehearsal with several Hetzner projects. Its workflow is the project's own with
 * the line for each token that docs/github-actions.md asks for. `tokens`: by variable.
 */
export async function projectWorkflow(
  sandbox: Installation,
  rehearsal: Rehearsal,
  { tokens, hcloudEndpoint }: { tokens: Record<string, string>; hcloudEndpoint: string },
) {
  const { connection } = sandbox;
  const backend = new URL(siblingUrl(rehearsal.databaseUrl, 'pulumi'));
  backend.username = 'runner';
  backend.password = '';
  const options = await optionsFor(await makeProjectCheckout(Object.keys(tokens)), {
    secrets: {
      ...tokens,
      CALLBACK_SECRET,
      TAILSCALE_API_KEY: connection.tailscaleApiKey,
      PULUMI_BACKEND_URL: backend.href,
      PULUMI_CONFIG_PASSPHRASE: rehearsal.passphrase,
    },
    variables: { HCLOUD_ENDPOINT: hcloudEndpoint, TAILSCALE_BASE_URL: connection.tailscaleBaseUrl },
  });
  const environment = createEnvironment({
    SANDBOX_URL: connection.stripeApiUrl,
    PROVIDERS: 'builtin',
    PULUMI_HOME: join(options.dir, 'pulumi-home'),
  });
  return { ...options, environment: environment as Record<string, string> };
}

/** This checkout, with another workflow: the comment's line, and one like it for each variable. */
async function makeProjectCheckout(variables: readonly string[]): Promise<string> {
  const text = await readFile(workflowUrl, 'utf8');
  const [, example] = EXAMPLE.exec(text) ?? [];
  if (example === undefined) throw new Error('The workflow shows no line for a further project');
  const lines = variables.map((variable) => example.replaceAll('HCLOUD_TOKEN_US', variable));
  const workflow = text.replace(EXAMPLE, ` ${lines.join(`\n${' '.repeat(10)}`)}`);
  const checkout = await makeCheckout({ '.github/workflows/provision-agent.yml': workflow });
  await cp(scriptsFolder, join(checkout, '.github/scripts'), { recursive: true });
  for (const entry of await readdir(ROOT))
    if (!entry.startsWith('.')) await symlink(join(ROOT, entry), join(checkout, entry));
  return checkout;
}
