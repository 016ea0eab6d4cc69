/**
 * A proxy before a Docker engine that lies: chosen calls are done, and answered with 500 all the same, as an engine in trouble does.
 *
 * Owns     its socket, until it is disposed of.
 */
import http from 'node:http';
import path from 'node:path';
import { makeScratch } from '../scratch.ts';

export interface FaultyProxy extends AsyncDisposable {
  /** for DOCKER_HOST */
  readonly host: string;
  /** calls that were done and answered with 500, as `POST /containers/ID/start` */
  readonly lies: readonly string[];
}

/** @param isToFail told each call as `METHOD /path`; true: done, and answered with 500 */
export async function startFaultyProxy(engineHost: string, isToFail: (call: string) => boolean): Promise<FaultyProxy> {
  const scratch = makeScratch();
  const socketPath = path.join(scratch.path, 'd.sock');
  const lies: string[] = [];
  const server = http.createServer((request, response) => {
    const call = `${request.method} ${(request.url ?? '').split('?')[0]}`;
    const { method, url, headers } = request;
    const target = { socketPath: engineHost.slice('unix://'.length), method, path: url, headers };
    const onward = http.request(target, (answer) => {
      if ((answer.statusCode ?? 500) < 300 && isToFail(call)) {
        lies.push(call);
        answer.resume();
        answer.on('end', () =>
          response.writeHead(500, { 'content-type': 'application/json' }).end('{"message":"context deadline exceeded"}'),
        );
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    response.on('close', () => onward.destroy());
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.on('error', reject).listen(socketPath, resolve);
  await promise;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    scratch[Symbol.dispose]();
  };
  return { host: `unix://${socketPath}`, lies, [Symbol.asyncDispose]: close };
}
