/**
 * Takes a request through its lane (lanes.ts), and sees to it that its place is given up: at the end of its answer, or sooner, where what
 * it has asked for much of has been sent, as a watch has its first list.
 *
 * Callers  app.ts, before a route runs; watch-response.ts calls the request's `leaveLane`.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { laneOf } from './lane-of.ts';
import type { Lanes, Leave } from './lanes.ts';
import type { Route } from './route.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** before it has taken a lane, and where it takes none: undefined */
    leaveLane: Leave | undefined;
  }
}

/** @returns whether anybody still waits for the answer @throws {ApiError} TooManyRequests, Unavailable */
export async function takeLane(lanes: Lanes, route: Route, { request, reply }: TakeLaneFor): Promise<boolean> {
  const entered = lanes.enter(laneOf(route, request));
  const leave = entered instanceof Promise ? await entered : entered;
  if (reply.raw.destroyed) {
    leave();
    return false;
  }
  request.leaveLane = leave;
  reply.raw.once('finish', leave).once('close', leave);
  return true;
}

interface TakeLaneFor {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}
