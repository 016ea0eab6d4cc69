/** Commands in containers: what Engine promises of them, over HTTP. */
import type { DockerTransport } from './docker-transport.ts';
import { decodeExec } from './docker-wire.ts';
import type { Engine } from './engine.ts';

export function createExecCalls(transport: DockerTransport): Pick<Engine, 'createExec' | 'startExec' | 'resizeExec' | 'inspectExec'> {
  return {
    createExec: async (containerId, { command, hasTty, hasStdin, env, user, workingDir }, signal) => {
      const body = {
        Cmd: command,
        Tty: hasTty,
        AttachStdin: hasStdin,
        AttachStdout: true,
        AttachStderr: true,
        Env: env,
        ...(user !== undefined && { User: user }),
        ...(workingDir !== undefined && { WorkingDir: workingDir }),
      };
      const action = `run a command in container "${containerId}"`;
      const answer = await transport.request(
        { method: 'POST', path: `/containers/${encodeURIComponent(containerId)}/exec`, body, action },
        signal,
      );
      return (answer.body as { readonly Id: string }).Id;
    },

    startExec: async (execId, { hasTty }, signal) =>
      await transport.open(
        { method: 'POST', path: `${pathOf(execId)}/start`, body: { Detach: false, Tty: hasTty }, action: 'run a command in a container' },
        signal,
      ),

    resizeExec: async (execId, { columns, rows }, signal) => {
      const query = { w: columns, h: rows };
      await transport.request({ method: 'POST', path: `${pathOf(execId)}/resize`, query, action: 'resize a terminal' }, signal);
    },

    inspectExec: async (execId, signal) => {
      const action = 'look at a command in a container';
      const { status, body } = await transport.request(
        { method: 'GET', path: `${pathOf(execId)}/json`, action, accept: [404, 409] }, // 409: its container has ended
        signal,
      );
      return status >= 400 ? undefined : decodeExec(body);
    },
  };
}

function pathOf(execId: string): string {
  return `/exec/${encodeURIComponent(execId)}`;
}
