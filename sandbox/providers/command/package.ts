import type { ProviderPackage } from '../resource.ts';
import { type CommandClient, command, runCommand } from './command.ts';

/** Replaces the official command plugin. Calls `mayRun` before every command. */
export const commandPackage = (mayRun: CommandClient['mayRun']): ProviderPackage<CommandClient> => ({
  name: 'command',
  version: '1.2.1',
  resources: { 'command:local:Command': command },
  invokes: { 'command:local:run': runCommand },
  connect: (environment) => ({ environment, mayRun }),
});
