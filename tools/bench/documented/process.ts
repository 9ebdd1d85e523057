import { LocalWorkspace, type Stack } from '@pulumi/pulumi/automation/index.js';
import { type ProviderHost, startProviderHost } from '../../../sandbox/providers/host.ts';
import { createProgram } from '../../../stacks/program.ts';
import type { DocumentedSettings, FromDocumented, ToDocumented } from './messages.ts';

/**
 * The Automation API as documented for inline programs (https://www.pulumi.com/docs/iac/automation-api/): one
 * long-lived Node process, the calls in the documented order, with no options beyond the documented ones.
 */

const settings = JSON.parse(process.argv[2]!) as DocumentedSettings;
const send = (message: FromDocumented) => process.connected && process.send?.(message);

/** Built-in providers serve one operation at a time, so each active stack has its own set. */
const hosts = new Map<string, ProviderHost>();
const idleHosts: ProviderHost[] = [];
const stacks = new Map<string, Stack>();

async function provision({
  stackName,
  manner,
  program,
  environment,
}: Extract<ToDocumented, { verb: 'provision' }>): Promise<Record<string, unknown>> {
  const host = idleHosts.pop() ?? (await startProviderHost());
  hosts.set(stackName, host);
  host.use(environment);
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName, projectName: 'agents', program: createProgram(program) },
    { envVars: { ...environment, PULUMI_DEBUG_PROVIDERS: host.debugProviders } },
  );
  stacks.set(stackName, stack);
  await stack.setConfig('hcloud:endpoint', { value: settings.hcloudEndpoint });
  if (manner === 'example') await stack.refresh();
  const result = await stack.up();
  return Object.fromEntries(Object.entries(result.outputs).map(([name, { value }]) => [name, value]));
}

async function destroy({
  stackName,
  manner,
}: Extract<ToDocumented, { verb: 'destroy' }>): Promise<Record<string, unknown>> {
  const stack = stacks.get(stackName);
  if (stack === undefined) throw new Error(`Unknown stack: ${stackName}`);
  if (manner === 'example') await stack.refresh();
  await stack.destroy();
  await stack.workspace.removeStack(stackName);
  stacks.delete(stackName);
  idleHosts.push(hosts.get(stackName)!);
  hosts.delete(stackName);
  return {};
}

process.on('message', (message: ToDocumented) => {
  const work = message.verb === 'provision' ? provision(message) : destroy(message);
  work.then(
    (outputs) => send({ type: 'done', id: message.id, outputs }),
    (error: unknown) => send({ type: 'failed', id: message.id, message: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});

send({ type: 'ready' });
