import { hcloudToken } from '../../config/fields.ts';
import {
  DEFAULT_PROJECT,
  ONE_PROJECT,
  projectList,
  tokenVariable,
  tokenVariablesIn,
} from '../../config/hetzner-projects.ts';
import { HETZNER_ENDPOINT } from '../../connections/connections.ts';
import { readHetznerAccess } from '../../hetzner/access.ts';
import { hetznerAccessProbe } from '../../reconcile/checks/hetzner-probes.ts';
import { Secret } from '../../secret.ts';
import type { Answers, Question } from './question.ts';

const PROJECTS_WHERE =
  `One project for the agents alone is enough: ${ONE_PROJECT}. Several, each with the places of its agents and maybe a number of ` +
  'servers: default=eu, us=us+sg:40 (docs/configuration.md, “Several Hetzner projects”).';

/** Which Hetzner projects there are; their tokens are asked for next. */
export const projectsQuestion: Question = {
  variable: 'HCLOUD_PROJECTS',
  title: 'The Hetzner projects, with the places of their agents',
  where: PROJECTS_WHERE,
  isSecret: false,
  initial: ONE_PROJECT,
  schema: projectList,
  probes: () => [],
  further: (answers) => {
    const names = projectNames(answers);
    return names.map((name, index) => tokenQuestion(name, names.slice(0, index), answers));
  },
};

const projectNames = ({ HCLOUD_PROJECTS = ONE_PROJECT }: Answers): string[] =>
  projectList.parse(HCLOUD_PROJECTS).map(({ name }) => name);

/** @param earlier the projects whose tokens are known by the time that this one is asked for */
function tokenQuestion(project: string, earlier: readonly string[], answers: Answers): Question {
  const variable = tokenVariable(project);
  const isOnly = project === DEFAULT_PROJECT;
  const console = isOnly ? 'the project (one for the agents alone)' : `the project for ${project}`;
  return {
    variable,
    title: isOnly ? 'Hetzner’s API token' : `Hetzner’s API token of the project ${project}`,
    where: `Cloud Console → ${console} → Security → API tokens → Generate, “Read & Write”.`,
    isSecret: true,
    schema: hcloudToken.refine(
      (token) => !earlier.some((name) => answers[tokenVariable(name)] === token),
      'is the token of another project: each project has its own',
    ),
    probes: ({ [variable]: token = '', HCLOUD_ENDPOINT = HETZNER_ENDPOINT }) => {
      const account = { token: new Secret(token), endpoint: HCLOUD_ENDPOINT };
      return [hetznerAccessProbe(() => readHetznerAccess(account), { project, isOneOfSeveral: !isOnly })];
    },
  };
}

/**
 * Removes from the answers what does not belong to the projects: a start with the token of one that is not
 * named is refused. @returns the variables of tokens that were removed
 */
export function tidyProjects(answers: Answers): string[] {
  const named = projectNames(answers).map(tokenVariable);
  const others = tokenVariablesIn(answers).filter((variable) => !named.includes(variable));
  for (const variable of others) delete answers[variable];
  if (answers.HCLOUD_PROJECTS === ONE_PROJECT) delete answers.HCLOUD_PROJECTS;
  return others;
}
