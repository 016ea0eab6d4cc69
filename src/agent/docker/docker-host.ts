/** Reads DOCKER_HOST: where the container engine listens. */

/** Where to connect. `text` is what the user wrote, for messages. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly socketPath: string; readonly text: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly text: string };

const DEFAULT_TCP_PORT = 2375; // Docker's, without TLS
const EXPECTS = 'unix:///var/run/docker.sock or tcp://127.0.0.1:2375';

/** @throws {RangeError} when `text` is no address that the agent can use; the message says which forms are */
export function parseDockerHost(text: string): EngineAddress {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//iu.exec(text)?.[1]?.toLowerCase();
  switch (scheme) {
    case 'unix':
      return unixAddress(text);
    case 'tcp':
    case 'http':
      return tcpAddress(text);
    case 'https':
      throw refusal(text, 'TLS to the engine is not supported; use its socket, or tcp:// over an encrypted network');
    case 'ssh':
      throw refusal(text, 'the agent drives the engine of its own machine and does not go through SSH; run an agent there');
    case 'npipe':
      throw refusal(text, 'named pipes of Windows are not supported');
    case 'fd':
      throw refusal(text, "fd:// is the engine's own setting; use the socket that it stands for");
    case undefined:
      throw refusal(text, text.startsWith('/') ? `a socket's path needs unix:// before it: unix://${text}` : 'it has no scheme');
    default:
      throw refusal(text, `the scheme "${scheme}" is not known`);
  }
}

function unixAddress(text: string): EngineAddress {
  const socketPath = text.slice('unix://'.length);
  if (!socketPath.startsWith('/')) {
    throw refusal(text, "the socket's path must be absolute, with three slashes");
  }
  if (Buffer.byteLength(socketPath) > 107) {
    throw refusal(text, "the socket's path must have at most 107 bytes"); // sun_path of unix(7)
  }
  return { kind: 'unix', socketPath, text };
}

function tcpAddress(text: string): EngineAddress {
  const url = URL.parse(text.replace(/^[a-z]+:/iu, 'http:'));
  if (url === null || url.hostname === '') {
    throw refusal(text, 'it is no host and port');
  }
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw refusal(text, 'only a host and a port may stand there');
  }
  const hasDefaultHttpPort = /:80\/?$/u.test(text);
  const port = url.port === '' ? (hasDefaultHttpPort ? 80 : DEFAULT_TCP_PORT) : Number(url.port);
  return { kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/u, '$1'), port, text };
}

function refusal(text: string, because: string): RangeError {
  return new RangeError(`Cannot use DOCKER_HOST as ${because} (for example ${EXPECTS}): current value is ${JSON.stringify(text)}`);
}
