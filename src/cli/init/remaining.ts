import { PLUGINS, sdkVersion } from '../../pulumi/plugins.ts';
import { shortPath } from '../short-path.ts';
import type { Answers } from './question.ts';

/** What is left to do by hand, as one text. */
export function remainingSteps(file: string, answers: Answers): string {
  const isRehearsal = answers.MODE === 'rehearsal';
  const official = answers.PROVIDERS !== 'builtin';
  return [
    '',
    `${shortPath(file)} is written; only its owner can read it.`,
    '',
    'What is left:',
    '  - Keep PULUMI_CONFIG_PASSPHRASE from that file in a second place: without it no server can be reached any more.',
    ...(isRehearsal
      ? []
      : [
          '  - Put a proxy with TLS in front of the service (docs/live-mode.md, “TLS in front”), and join the tailnet:',
          '      tailscale up --advertise-tags=tag:controller',
        ]),
    ...(official
      ? [
          `  - Pulumi’s plugins (${PLUGINS.map((name) => `${name} ${sdkVersion(name)}`).join(', ')}): npm run agents -- doctor --install`,
        ]
      : []),
    '',
    'Then:',
    `  export ENV_FILE=${shortPath(file)}`,
    '  npm start',
    '  npm run agents -- doctor',
    '',
  ].join('\n');
}
