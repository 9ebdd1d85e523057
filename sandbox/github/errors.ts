import type { ErrorRequestHandler, RequestHandler } from 'express';

/** An error answer in GitHub's form. */
export class GithubError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Returns the body of an error answer. */
export function githubErrorBody(status: number, message: string) {
  return { message, documentation_url: 'https://docs.github.com/rest', status: String(status) };
}

export const refuseUnknownPath: RequestHandler = () => {
  throw new GithubError(404, 'Not Found');
};

export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const send = (status: number, message: string) =>
    response.status(status).json(githubErrorBody(status, message));
  if (error instanceof GithubError) send(error.status, error.message);
  else if (error?.type === 'entity.parse.failed') send(400, 'Problems parsing JSON');
  else if (typeof error?.status === 'number' && error.status < 500) send(error.status, String(error.message));
  else {
    console.error(`sandbox github: ${error?.message ?? error}`);
    send(500, 'Server Error');
  }
};
