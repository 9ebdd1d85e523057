import { option } from '@optique/core/primitives';
import { defineCommand, json, toText } from '../command.ts';
import { printJson } from '../terminal.ts';

export const doctor = defineCommand({
  name: 'doctor',
  brief: 'check everything that an installation needs',
  detail:
    'Checks tools, plugins, credentials, database, tailnet, webhook and the public address, with the environment of the service: ' +
    'name its file in ENV_FILE. Exits 1 if anything is wrong.',
  examples: ['doctor', 'doctor --json', 'doctor --install'],
  fields: {
    install: option('--install', {
      description: toText('install the tools and Pulumi’s provider plugins that are missing'),
    }),
    ...json,
  },
  run: async ({ install, json: asJson }, terminal) => {
    // It needs most of the service, which no other command should load.
    const { runDoctor } = await import('../doctor/doctor.ts');
    const { reportLines } = await import('../doctor/report.ts');
    const report = await runDoctor(terminal.environment, { installs: install });
    if (asJson) printJson(terminal, report);
    else terminal.print(reportLines(report));
    return report.ok;
  },
});
