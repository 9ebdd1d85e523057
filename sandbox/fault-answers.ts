import type { FaultArea } from './fault-order.ts';
import { githubErrorBody } from './github/errors.ts';

const HETZNER_ERRORS: Record<number, { code: string; message: string }> = {
  400: { code: 'json_error', message: 'Invalid JSON in request body' },
  401: { code: 'unauthorized', message: 'the given token is not valid' },
  403: { code: 'resource_limit_exceeded', message: 'resource limit exceeded' },
  404: { code: 'not_found', message: 'resource not found' },
  409: { code: 'conflict', message: 'the resource has changed during the request, please retry' },
  412: { code: 'resource_unavailable', message: 'the requested resource is currently unavailable' },
  422: { code: 'invalid_input', message: 'invalid input' },
  423: { code: 'locked', message: 'the resource is locked by another action' },
  429: { code: 'rate_limit_exceeded', message: 'limit of requests per hour reached' },
  500: { code: 'server_error', message: 'an unexpected error occurred' },
  502: { code: 'bad_gateway', message: 'bad gateway' },
  503: { code: 'unavailable', message: 'the service is temporarily unavailable' },
  504: { code: 'timeout', message: 'the request could not be answered in time' },
};

/** Returns the body that a vendor would send with an error status. */
export function faultBody(area: FaultArea, status: number): unknown {
  switch (area) {
    case 'hetzner':
      return { error: { ...hetznerError(status), details: status === 422 ? { fields: [] } : null } };
    case 'tailscale':
      return { message: `sandbox: ordered status ${status}` };
    case 'machines':
      return { status: 'error', error: `sandbox: ordered status ${status}` };
    case 'github':
      return githubErrorBody(status, `Sandbox: ordered status ${status}`);
    case 'stripe':
      return { error: { type: stripeErrorType(status), message: `Sandbox: ordered status ${status}` } };
  }
}

function hetznerError(status: number): { code: string; message: string } {
  const fallback = status < 500 ? HETZNER_ERRORS[422]! : HETZNER_ERRORS[500]!;
  return HETZNER_ERRORS[status] ?? fallback;
}

function stripeErrorType(status: number): string {
  if (status === 409) return 'idempotency_error';
  return status < 500 && status !== 429 ? 'invalid_request_error' : 'api_error';
}
