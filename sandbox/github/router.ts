import express, { type Request, type RequestHandler } from 'express';
import type { SandboxDatabase } from '../database.ts';
import type { SandboxSettings } from '../settings.ts';
import { type SandboxTokens, sameSecret } from '../tokens.ts';
import { answerError, GithubError, refuseUnknownPath } from './errors.ts';
import { toRun, toRunDetails } from './run-json.ts';
import { createRun, findRun, listRuns, requestCancel } from './runs.ts';
import { parseDispatch, REPOSITORY, WORKFLOW_FILE } from './workflow.ts';

export interface GithubDependencies {
  /** Holds the tables of `githubSchema`. */
  database: SandboxDatabase;
  tokens: Pick<SandboxTokens, 'githubToken'>;
  settings: Pick<SandboxSettings, 'githubRunDetails'>;
}

/**
 * Creates the part of GitHub's API that starts, shows and cancels workflow runs, for one repository. Mount it
 * at a client's base URL. Source: https://docs.github.com/rest/actions
 */
export function createGithubRouter({ database, tokens, settings }: GithubDependencies): express.Router {
  const api = express.Router();
  api.use(authenticate(tokens.githubToken));
  api.use(express.json({ type: () => true }));
  const workflow = '/workflows/:workflow';
  api.post(`${workflow}/dispatches`, requireWorkflow, async (request, response) => {
    const dispatch = parseDispatch(request.body, { runDetails: settings.githubRunDetails });
    const run = await createRun(database, dispatch);
    if (dispatch.wantsDetails) response.json(toRunDetails(run, toApiUrl(request)));
    else response.status(204).end();
  });
  const list: RequestHandler = async (request, response) => {
    const { total, runs } = await listRuns(database, parsePage(request));
    response.json({ total_count: total, workflow_runs: runs.map((run) => toRun(run, toApiUrl(request))) });
  };
  api.get('/runs', list);
  api.get(`${workflow}/runs`, requireWorkflow, list);
  api.get('/runs/:id', async (request, response) => {
    response.json(toRun(await requireRun(database, request.params.id), toApiUrl(request)));
  });
  for (const verb of ['cancel', 'force-cancel']) {
    api.post(`/runs/:id/${verb}`, async (request, response) => {
      const { id } = await requireRun(database, String(request.params.id));
      if (!(await requestCancel(database, id)))
        throw new GithubError(409, 'Cannot cancel a workflow run that is completed.');
      response.status(202).json({});
    });
  }

  const router = express.Router();
  router.use('/repos/:owner/:repo/actions', requireRepository, api);
  router.use(refuseUnknownPath, answerError);
  return router;
}

/** Requires a token for writes only, because the repository is public. */
function authenticate(githubToken: string): RequestHandler {
  return (request, _response, next) => {
    const given = /^(?:Bearer|token) +(\S+)$/i.exec(request.get('authorization') ?? '')?.[1];
    if (given === undefined && request.method === 'GET') return next();
    if (given === undefined) throw new GithubError(401, 'Requires authentication');
    if (!sameSecret(given, githubToken)) throw new GithubError(401, 'Bad credentials');
    next();
  };
}

const requireRepository: RequestHandler<{ owner: string; repo: string }> = ({ params }, _response, next) => {
  const wanted = `${params.owner}/${params.repo}`.toLowerCase();
  if (wanted !== `${REPOSITORY.owner}/${REPOSITORY.name}`) throw new GithubError(404, 'Not Found');
  next();
};

const requireWorkflow: RequestHandler<{ workflow: string }> = ({ params }, _response, next) => {
  if (![WORKFLOW_FILE, String(REPOSITORY.workflowId)].includes(params.workflow))
    throw new GithubError(404, 'Not Found');
  next();
};

async function requireRun(database: SandboxDatabase, id: string) {
  const run = await findRun(database, id);
  if (run === undefined) throw new GithubError(404, 'Not Found');
  return run;
}

function parsePage({ query }: Request) {
  const number = (value: unknown, fallback: number, most: number) =>
    Math.min(Math.max(Math.floor(Number(value)) || fallback, 1), most);
  const limit = number(query.per_page, 30, 100);
  const status = typeof query.status === 'string' ? query.status : undefined;
  return { status, limit, offset: (number(query.page, 1, 1_000_000) - 1) * limit };
}

/** Returns the address at which the caller reaches this API, for links in answers. */
function toApiUrl(request: Request): string {
  return `${request.protocol}://${request.get('host')}${request.baseUrl.replace(/\/repos\/.*$/, '')}`;
}
