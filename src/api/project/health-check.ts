/** The health check of a service: run by the engine in the container (`test`), or by the agent from outside (`httpGet`, `tcpSocket`). */
import Type, { type Static } from 'typebox';
import { DURATION } from '../duration.ts';
import { Closed, OneOf, Text } from '../meta.ts';
import type { Grammar } from '../names.ts';

const HTTP_PATH = {
  pattern: '^/[!-~]*$',
  expects: 'a path starting with "/", such as /healthz or /ready?full=1, with anything unusual percent-encoded',
  maxLength: 2048,
} as const satisfies Grammar;

const HEADER_NAME = {
  pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
  expects: 'the name of an HTTP header, such as Accept',
  maxLength: 256,
} as const satisfies Grammar;

const HEADER_VALUE = {
  pattern: '^[\\t\\u0020-\\u007e\\u00a0-\\u00ff]*$',
  expects: 'the value of an HTTP header: one line',
  maxLength: 4096,
} as const satisfies Grammar;

const ContainerPort = Type.Integer({ minimum: 1, maximum: 65_535, expects: 'a port number from 1 to 65535' });

export const HTTP_SCHEMES = ['HTTP', 'HTTPS'] as const;

export const HttpGet = Closed(
  {
    port: ContainerPort,
    path: Type.Optional(Text(HTTP_PATH, 'Default /')),
    scheme: Type.Optional(OneOf(HTTP_SCHEMES, 'Default HTTP; the certificate of HTTPS is not verified')),
    httpHeaders: Type.Optional(Type.Array(Closed({ name: Text(HEADER_NAME), value: Text(HEADER_VALUE) }), { maxItems: 32 })),
    status: Type.Optional(
      Type.Integer({
        minimum: 100,
        maximum: 599,
        expects: 'a status from 100 to 599',
        description: 'The only one that passes; default any from 200 to 399. Redirects are not followed',
      }),
    ),
  },
  'A GET by the agent on the address of the container',
);
export type HttpGet = Readonly<Static<typeof HttpGet>>;

export const TcpSocket = Closed({ port: ContainerPort }, 'A connection by the agent to the address of the container');
export type TcpSocket = Readonly<Static<typeof TcpSocket>>;

export const HealthCheck = Closed({
  test: Type.Optional(
    Type.Array(Type.String(), {
      minItems: 1,
      expects: 'a list such as [CMD, pg_isready] or [CMD-SHELL, "curl -f localhost"], or [NONE] for none, not even that of the image',
    }),
  ),
  httpGet: Type.Optional(HttpGet),
  tcpSocket: Type.Optional(TcpSocket),
  interval: Type.Optional(Text(DURATION, 'From one check to the next; default 30s')),
  timeout: Type.Optional(Text(DURATION, 'After which a check has failed; default 30s')),
  retries: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Failures in a row that make the service unhealthy; default 3' }),
  ),
  startPeriod: Type.Optional(Text(DURATION, 'After a start in which failures do not count, until a check passes; default 0s')),
  startInterval: Type.Optional(
    Text(
      DURATION,
      'From one check to the next until one passes, for httpGet and tcpSocket; default 1s, or the interval where that is less',
    ),
  ),
});
export type HealthCheck = Readonly<Static<typeof HealthCheck>>;
