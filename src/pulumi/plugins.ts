import { createRequire } from 'node:module';

/** The provider plugins that the stacks use, each in the version of its SDK. */
export const PLUGINS = ['hcloud', 'tailscale', 'command'];

/**
 * If a run failed because a plugin is missing, explains how to install all of them, so that the next run
 * lacks none; else undefined.
 */
export function missingPlugin(text: string): string | undefined {
  const name = /no resource plugin 'pulumi-resource-([\w-]+)' found/.exec(text)?.[1];
  if (name === undefined) return undefined;
  const commands = PLUGINS.map(
    (plugin) => `  pulumi plugin install resource ${plugin} ${sdkVersion(plugin)}`,
  );
  return `Pulumi's provider plugin ${name} is not installed. Install the plugins that the stacks use, where PULUMI_HOME (default ~/.pulumi) is the service's:
${commands.join('\n')}
(or with this service's own CLI: npm run pulumi -- plugin install …)`;
}

export function sdkVersion(plugin: string): string {
  const require = createRequire(import.meta.url);
  return (require(`@pulumi/${plugin}/package.json`) as { version: string }).version;
}
