/** Whether callers are asked for credentials, and which browsers' requests are refused. Pure. */
import { ApiError } from '../../api/errors.ts';
import { StartError } from '../../base/program.ts';
import { isLoopback } from '../config.ts';

export interface AuthSettings {
  readonly HOST: string;
  readonly AUTH: 'auto' | 'token' | 'none';
  readonly ALLOWED_HOSTS: readonly string[] | undefined;
}

/** On loopback nobody but this machine's users calls; anywhere else credentials are asked for, unless somebody says outright that not. */
export function asksForCredentials({ HOST, AUTH }: AuthSettings): boolean {
  return AUTH === 'token' || (AUTH === 'auto' && !isLoopback(HOST));
}

/**
 * Nobody can be kept waiting where nobody is asked who they are.
 * @throws {StartError}
 */
export function checkApproval(settings: AuthSettings & { readonly NODE_APPROVAL: 'none' | 'required' }): void {
  if (settings.NODE_APPROVAL === 'required' && !asksForCredentials(settings)) {
    const why = settings.AUTH === 'none' ? 'AUTH is none' : `AUTH is auto and only this machine reaches ${settings.HOST}`;
    throw new StartError(
      `Cannot let machines wait for approval (NODE_APPROVAL=required) as this server asks for no credentials: ${why}; set AUTH=token`,
    );
  }
}

/** The headers by which a browser tells on whose behalf it asks. */
export interface SiteHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
  readonly 'sec-fetch-mode'?: string | string[] | undefined;
}

/**
 * What keeps other sites' pages in a browser on this machine from using a server that asks for nothing: their requests name their own
 * site as Origin (cross-site requests) or, where their name was made to point here, as Host (DNS rebinding).
 * @returns a check that throws {ApiError} Forbidden, and Invalid for more than one Host
 * Source   Fetch standard (Origin, Sec-Fetch-Site); RFC 9110 section 7.2
 */
export function createSiteCheck(settings: AuthSettings): (headers: SiteHeaders, method: string) => void {
  if (asksForCredentials(settings)) {
    return checkOneHost; // and nothing more: no browser adds a bearer token by itself
  }
  const allowed = new Set(settings.ALLOWED_HOSTS);
  const checksHost = isLoopback(settings.HOST) || allowed.size > 0;
  const isOurs = (name: string | undefined): boolean => name !== undefined && (isThisMachine(name) || allowed.has(name));
  return (headers, method) => {
    checkOneHost(headers);
    const { host, origin } = headers;
    if (checksHost && host !== undefined && !isOurs(nameOf(host))) {
      throw new ApiError(
        'Forbidden',
        `Cannot answer as the request's Host is none of this machine's, which a server without credentials takes for an attack from a web page: ` +
          `call it as 127.0.0.1 or localhost, or start cara-server with ALLOWED_HOSTS naming it: current value is ${JSON.stringify(host.slice(0, 100))}`,
      );
    }
    const isNavigation = headers['sec-fetch-mode'] === 'navigate' && (method === 'GET' || method === 'HEAD');
    const site = headers['sec-fetch-site'];
    const isCrossSite = (site === 'cross-site' || site === 'same-site') && !isNavigation;
    if (origin === undefined ? isCrossSite : !isSameOrigin(origin, host) && !allowed.has(nameOf(URL.parse(origin)?.host ?? '') ?? '')) {
      throw new ApiError(
        'Forbidden',
        `Cannot answer as the request comes from a page of another site, and this server asks for no credentials: ` +
          `if that site is yours, start cara-server with ALLOWED_HOSTS naming it, or with AUTH=token: Origin is ${JSON.stringify(origin?.slice(0, 100) ?? 'not said')}`,
      );
    }
  };
}

/** A proxy in front may have judged by another Host than we. Source: RFC 9112 section 3.2 */
function checkOneHost({ host }: SiteHeaders): void {
  if (host?.includes(',') === true) {
    throw new ApiError(
      'Invalid',
      `Cannot read the request as it must have one Host: current value is ${JSON.stringify(host.slice(0, 100))}`,
    );
  }
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.parse(origin)?.host === host.toLowerCase();
}

/** A Host without its port, in lower case; undefined for what is none. */
function nameOf(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?$/u.exec(host.toLowerCase())?.[1]?.replace(/^\[(.*)\]$/u, '$1');
}

function isThisMachine(name: string): boolean {
  return isLoopback(name) || name.endsWith('.localhost'); // RFC 6761 section 6.3: the latter resolve to loopback alone
}
