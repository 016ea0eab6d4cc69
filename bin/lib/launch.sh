# Sourced by the launchers in bin/ with $bin (their folder) and $program (a folder of src/) set, and "$@" the user's arguments.
# Finds a Node >= 26 and becomes it: exec, so that the pid is the program's and signals reach it.

root=$(CDPATH= cd -P -- "$bin/.." && pwd)

# The one that `npm run setup` installed with the packages is 26 by package-lock.json, so it is not asked for its version (40 ms).
node=
for candidate in "$root/node_modules/.bin/node" "$root/../.bin/node"; do
  if [ -x "$candidate" ]; then
    node=$candidate
    break
  fi
done

if [ -z "$node" ]; then
  found=$(node --version 2>/dev/null) || found=
  major=${found#v}
  major=${major%%.*}
  if [ "${major:-0}" -ge 26 ] 2>/dev/null; then
    node=node
  else
    echo "error: Cannot start as Node 26 or newer is not installed: found ${found:-none}; to install it, run: npm --prefix \"$root\" run setup" >&2
    exit 1
  fi
fi

# Node keeps compiled code here, with the types already stripped. Measured on two cores, commander + yaml + src/api: 150 ms a start
# without it, 110 ms with it; a file of ours alone: 48 ms without, 18 ms with (the stripper is not even loaded).
if [ -z "${NODE_COMPILE_CACHE:-}" ] && [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]; then
  export NODE_COMPILE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/caravanserai/compile-cache"
fi

# Node itself warns on stderr where both are set. Who says no means no.
if [ -n "${NO_COLOR:-}" ]; then
  unset FORCE_COLOR
fi

# Resident memory of the agent with 20 containers, fresh and after fifty more had come and gone (`npm run bench`): 79 and 86 MB with nothing but
# 2 MiB for short-lived objects instead of up to 16; 74 and 76 MB like this. One malloc arena, as glibc otherwise keeps one a thread.
# The price is a third more CPU time of its own: 1.3 s instead of 1.0 s for those seventy, at 0.07 % of a core at rest.
case $program in
  agent)
    set -- --max-semi-space-size=1 --optimize-for-size "$root/src/agent/main.ts" "$@"
    export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
    ;;
  # With 100 nodes, after thousands of reads, 124 MB instead of 134. With 4 it would be 109, but then the collector's threads stand in the
  # way of 33,000 beats a second on one core most of the time: p99 of 56 ms with 1,000 nodes, where 8 and 16 have 3 to 8 (docs/benchmarks.md).
  # What is old may grow by half before all of it is looked at; by V8's own rule 8 MB more are enough where little is allocated, which at
  # that pace with 10,000 nodes was every 15 to 40 s, and held beats up by 80 ms.
  server)
    set -- --max-semi-space-size=8 --heap-growing-percent=50 "$root/src/server/main.ts" "$@"
    export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
    ;;
  *) set -- "$root/src/$program/main.ts" "$@" ;;
esac

# A crash must not leave tokens and values of Secrets in a core file.
ulimit -S -c 0 2>/dev/null || true

exec "$node" --disable-warning=ExperimentalWarning "$@"
