import type { AgentJson } from '../../http/agents/agent-json.ts';
import { copyButton } from '../design/copy.ts';
import { type Html, html } from '../html.ts';

/** Renders the commands that show the same, and more, in a terminal. */
export function commandsSection({ agentId, stackName, status, tailnetIp }: AgentJson): Html {
  const commands: [command: string, what: string][] = [
    [`npm run agents -- show ${agentId}`, 'everything about it'],
    [`npm run agents -- logs ${agentId}`, 'the log of its last operation, followed'],
    ...(tailnetIp === null
      ? []
      : ([[`npm run agents -- ssh ${agentId}`, 'a shell on its server']] as [string, string][])),
    ...(status === 'destroyed'
      ? ([[`npm run agents -- receipt ${agentId}`, 'the receipt of its deletion']] as [string, string][])
      : ([
          [`npm run pulumi -- stack -s ${stackName}`, 'its resources as Pulumi has them'],
          [`npm run pulumi -- preview -s ${stackName}`, 'what an update would change'],
          [`npm run pulumi -- stack history -s ${stackName}`, 'its updates'],
        ] as [string, string][])),
  ];
  return html`<h2>Commands</h2>
<dl class="commands">${commands.map(
    ([command, what]) =>
      html`<div><dt>${what}</dt><dd class="copyable"><code>${command}</code>${copyButton(command, `the command: ${what}`)}</dd></div>`,
  )}</dl>`;
}
